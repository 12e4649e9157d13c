package trust

import (
	"fmt"
	"strings"
	"time"
)

// Date is a calendar day in UTC, written 2027-12-31.
type Date struct{ day time.Time }

// ParseDate reads a day.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("date %.40q: want a day such as 2027-12-31", s)
	}
	return Date{t}, nil
}

// Start is the first moment of the day.
func (d Date) Start() time.Time { return d.day }

// End is the last moment of the day.
func (d Date) End() time.Time { return d.day.AddDate(0, 0, 1).Add(-time.Nanosecond) }

func (d Date) String() string { return d.day.Format(time.DateOnly) }

// MarshalText writes the form of String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDate does.
func (d *Date) UnmarshalText(b []byte) error {
	parsed, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Duration is a time span in Go's notation, such as 72h. Zero means none.
type Duration time.Duration

// String writes Go's notation without the zeros at its end: 72h, not 72h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	for _, end := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, end) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's notation; negative spans are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil || parsed < 0 {
		return fmt.Errorf("duration %.40q: want a time span such as 72h", b)
	}
	*d = Duration(parsed)
	return nil
}
