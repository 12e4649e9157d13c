package trust

import (
	"fmt"
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

// MarshalText writes Go's notation.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads Go's notation; negative spans are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil || parsed < 0 {
		return fmt.Errorf("duration %.40q: want a time span such as 72h", b)
	}
	*d = Duration(parsed)
	return nil
}
