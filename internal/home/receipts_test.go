package home

import (
	"errors"
	"io/fs"
	"testing"
)

// TestReceiptsOnce: a number is given out once, whoever comes first; only what is
// said to be written anew is.
func TestReceiptsOnce(t *testing.T) {
	h := newHome(t, nil)
	const instance = "00112233445566778899aabbccddeeff"
	if err := h.AddReceipts(instance, 1, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := h.AddReceipts(instance, 1, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a number given out twice: %v", err)
	}
	if b, err := h.ReadReceipts(instance, 1); err != nil || string(b) != "first" {
		t.Errorf("%q, %v", b, err)
	}
	if err := h.ReplaceReceipts(instance, 1, []byte("signed")); err != nil {
		t.Fatal(err)
	}
	if b, err := h.ReadReceipts(instance, 1); err != nil || string(b) != "signed" {
		t.Errorf("%q, %v", b, err)
	}
}
