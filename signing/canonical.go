package signing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotCanonical reports JSON that is not the one encoding of its value.
var ErrNotCanonical = errors.New("not canonical JSON")

// MarshalCanonical returns v as JSON in the form of RFC 8785: no white space,
// object members sorted, the shortest escapes. It writes the subset in which
// every value has one form and every reader agrees: integers of at most 53
// bits, no null, valid UTF-8, no line or paragraph separators (U+2028, U+2029).
// A value outside the subset is an error that matches ErrNotCanonical, and so
// is a struct whose fields are declared in another order.
func MarshalCanonical(v any) ([]byte, error) {
	out, err := encode(v)
	if err != nil {
		return nil, err
	}
	if err := checkCanonical(out); err != nil {
		return nil, fmt.Errorf("%T: %w", v, err)
	}
	return out, nil
}

// UnmarshalCanonical reads data into v, a pointer, and refuses everything that
// MarshalCanonical would not have written: the error matches ErrNotCanonical
// and says where or which field. The caller has bounded data.
func UnmarshalCanonical(data []byte, v any) error {
	if err := checkCanonical(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	// The decoder takes keys in any case and values in several spellings. What
	// does not come back as it came has a second reading.
	again, err := encode(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, again) {
		return fmt.Errorf("%w at byte %d: a member is missing, empty, in another case or in another spelling",
			ErrNotCanonical, firstDifference(data, again))
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// firstDifference returns the offset at which a and b part.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
