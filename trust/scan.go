package trust

import (
	"fmt"
	"time"

	"airlock/signing"
)

// Scan is the verdict of a scanner that ran here: about a manifest, which names
// the bytes of every file of a package. What a scanner elsewhere said is none.
type Scan struct {
	Command string // the command line, as it was given
	Clean   bool
	Said    string    // the last line that it wrote, if any
	Time    time.Time // by this machine's clock
}

// String says what the scanner said, and when. The command line is not in it:
// reasons are told to others, and a command line may hold what is not for them.
func (s Scan) String() string {
	verdict, said := "refused it", ""
	if s.Clean {
		verdict = "found it clean"
	}
	if s.Said != "" {
		said = ": " + s.Said
	}
	return fmt.Sprintf("%s on %s%s", verdict, signing.FormatTime(s.Time), said)
}

// ScanRequired is what Policy.Scan may say.
const ScanRequired = "required"

// scanned asks what scanners here said of a publication, where the policy or the
// evidence wants that.
func (v *View) scanned(item Item) error {
	wanted := v.evidence.Scanner
	if wanted == "" && (v.policy == nil || v.policy.Scan == "") {
		return nil
	}
	var all []Scan
	if v.evidence.Scans != nil {
		var err error
		if all, err = v.evidence.Scans(item.Manifest); err != nil {
			return v.deny(item, Unscanned, "scan", fmt.Sprintf("what scanners said of it cannot be read: %v", err))
		}
	}
	for _, s := range all { // the newest word of a scanner is the one that counts
		switch {
		case wanted != "" && s.Command != wanted:
		case s.Clean:
			return nil
		default:
			return v.deny(item, Unclean, "scan", "the scanner here "+s.String())
		}
	}
	why := "no scanner has seen it here"
	if len(all) > 0 {
		why = fmt.Sprintf("this scanner has not seen it; another one here %s", all[0])
	}
	return v.deny(item, Unscanned, "scan", why)
}
