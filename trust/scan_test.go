package trust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"airlock/storage"
	"airlock/trust"
)

// TestScan asks for scans by the policy, by the evidence, by both.
func TestScan(t *testing.T) {
	s := newSpace(t)
	manifest := storage.DigestOf([]byte("manifest"))
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	clean := trust.Scan{Command: "clam", Clean: true, Time: day(1)}
	bad := trust.Scan{Command: "clam", Said: "EICAR in shop.yaml", Time: day(2)}
	other := trust.Scan{Command: "other --token secret", Clean: true, Time: day(3)}
	for name, test := range map[string]struct {
		policy  string
		scanner string
		scans   []trust.Scan
		right   trust.Right
		item    string
		broken  error
		want    error
		says    string
	}{
		"nobody asks":              {},
		"nobody asks, refused":     {scans: []trust.Scan{bad}},
		"policy, none":             {policy: trust.ScanRequired, want: trust.ErrUnscanned, says: "no scanner has seen it here"},
		"policy, clean":            {policy: trust.ScanRequired, scans: []trust.Scan{clean}},
		"policy, refused":          {policy: trust.ScanRequired, scans: []trust.Scan{bad}, want: trust.ErrUnclean, says: "the scanner here refused it on 2026-03-02T00:00:00Z: EICAR in shop.yaml"},
		"policy, newest counts":    {policy: trust.ScanRequired, scans: []trust.Scan{other, bad}},
		"policy, newest refuses":   {policy: trust.ScanRequired, scans: []trust.Scan{bad, clean}, want: trust.ErrUnclean},
		"policy, another manifest": {policy: trust.ScanRequired, scans: []trust.Scan{clean}, item: "another", want: trust.ErrUnscanned},
		"policy, withdrawal":       {policy: trust.ScanRequired, right: trust.MayWithdraw},
		"policy, cannot be read":   {policy: trust.ScanRequired, scans: []trust.Scan{clean}, broken: errors.New("disk"), want: trust.ErrUnscanned, says: "cannot be read: disk"},
		"scanner, none":            {scanner: "clam", want: trust.ErrUnscanned},
		"scanner, clean":           {scanner: "clam", scans: []trust.Scan{clean}},
		"scanner, refused":         {scanner: "clam", scans: []trust.Scan{bad}, want: trust.ErrUnclean},
		"scanner, only another":    {scanner: "clam", scans: []trust.Scan{other}, want: trust.ErrUnscanned, says: "another one here found it clean on 2026-03-03"},
		"scanner, another after":   {scanner: "clam", scans: []trust.Scan{other, bad}, want: trust.ErrUnclean},
		"both, only another":       {policy: trust.ScanRequired, scanner: "clam", scans: []trust.Scan{other}, want: trust.ErrUnscanned},
		"scanner, withdrawal":      {scanner: "clam", right: trust.MayWithdraw},
	} {
		t.Run(name, func(t *testing.T) {
			p := trust.NewPolicy(s.Name, s.Lineage())
			p.Scan = test.policy
			p.Allow = []trust.Allow{{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish, trust.MayWithdraw}}}
			item := trust.Item{Feed: "shared", Kind: "variable-set", Name: "db", Version: "1.4.0", Right: trust.MayPublish, Manifest: manifest}
			if test.right != "" {
				item.Right = test.right
			}
			if test.item != "" {
				item.Manifest = storage.DigestOf([]byte(test.item))
			}
			v := s.View(p)
			v.Judge(trust.Evidence{Scanner: test.scanner, Scans: func(m storage.Digest) ([]trust.Scan, error) {
				if m != manifest {
					return nil, test.broken
				}
				return test.scans, test.broken
			}})
			err := v.Authorize(item, day(4))
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantDenied(t, err, "scan", test.want)
			if test.says != "" {
				wantError(t, err, test.says)
			}
			if errors.Is(err, trust.ErrUntrusted) {
				t.Errorf("%v is for good", err)
			}
			if strings.Contains(err.Error(), "secret") { // reasons are told to others
				t.Errorf("%v has the command line", err)
			}
		})
	}
}

// A home that never scanned has no evidence, and a Space without a policy is
// asked for a scan all the same.
func TestScanWithoutEvidence(t *testing.T) {
	s := newSpace(t)
	v := s.View(nil)
	v.Judge(trust.Evidence{Scanner: "clam"})
	err := v.Authorize(trust.Item{Kind: "file", Name: "a", Version: "1", Right: trust.MayPublish}, time.Time{})
	wantDenied(t, err, "scan", trust.ErrUnscanned)
}

// What else keeps a thing out comes first: only the scan's own refusal says that
// scanning helps.
func TestScanLast(t *testing.T) {
	s := newSpace(t)
	item := trust.Item{Feed: "shared", Kind: "variable-set", Name: "db", Version: "1.4.0", Right: trust.MayPublish}
	for want, change := range map[error]func(*trust.Policy){
		trust.ErrUntrusted: func(p *trust.Policy) { p.Allow = nil },
		trust.ErrStale:     func(p *trust.Policy) { p.MaxAge = trust.Duration(time.Hour) },
		trust.ErrUnapproved: func(p *trust.Policy) {
			p.Approvals = []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1, Persons: []trust.Person{{Name: "alice"}}}}
		},
	} {
		p := trust.NewPolicy(s.Name, s.Lineage())
		p.Scan = trust.ScanRequired
		p.Allow = []trust.Allow{{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish}}}
		change(p)
		if err := s.View(p).Authorize(item, time.Now()); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
