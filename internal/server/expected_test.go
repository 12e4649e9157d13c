package server

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// However much publishers announce, only so many objects are expected at once;
// those whose hour is over make room.
func TestExpectedBound(t *testing.T) {
	refs := make([]storage.Ref, maxExpected)
	for i := range refs {
		binary.BigEndian.PutUint32(refs[i].Digest[:], uint32(i+1))
	}
	e := expected{objects: map[objectKey]expectation{}}
	space := trust.Space{Organisation: "acme", Name: "dev-qa"}
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for range 2 { // what is expected already takes no more room
		if err := e.add(space, refs, now); err != nil {
			t.Fatal(err)
		}
	}
	more := []storage.Ref{{Digest: storage.Digest{31: 1}}}
	if err := e.add(space, more, now); !errors.Is(err, feedhttp.ErrBusy) || len(e.objects) != maxExpected {
		t.Errorf("one more: %v, %d are expected", err, len(e.objects))
	}
	if err := e.add(space, more, now.Add(expectFor+1)); err != nil || len(e.objects) != 1 {
		t.Errorf("an hour later: %v, %d are expected", err, len(e.objects))
	}
}
