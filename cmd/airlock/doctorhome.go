package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 30 * 24 * time.Hour

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 64 << 10

// keys looks at permissions and at how keys are protected. It opens none.
func (c *checkup) keys(h *home.Home) {
	dir := filepath.Join(h.Path(), "keys")
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c.say(checkWarn, "keys", "nothing, where this home is a copy to look with; else restore keys/ from the backup", "there are none: nothing can be signed or decrypted")
		return
	}
	c.private(dir)
	if err != nil {
		c.say(checkFail, "keys", "check who owns the folder", "%v", err)
		return
	}
	var plain []string
	encrypted := 0
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		c.private(path)
		b, err := home.ReadFile(path, maxKeyFile)
		switch {
		case err != nil:
			c.say(checkFail, "keys", "check who owns the file", "%v", err)
		case bytes.HasPrefix(b, []byte("-----BEGIN AGE ENCRYPTED FILE-----")):
			encrypted++
		case home.Unattended(f.Name()): // plain in every home
		case bytes.HasPrefix(b, []byte("-----BEGIN PRIVATE KEY-----")), bytes.HasPrefix(b, []byte("AGE-SECRET-KEY-")):
			plain = append(plain, f.Name())
		}
	}
	if len(plain) > 0 {
		c.say(checkWarn, "keys", "whoever reads these files signs as this Space, or reads what is encrypted to it: keep the disk encrypted, or make Spaces without --plain-keys",
			"not encrypted: %s", strings.Join(plain, ", "))
	}
	if encrypted > 0 {
		c.ok("keys", "%s encrypted with a passphrase", count(encrypted, "key is", "keys are"))
	}
	if roots, _ := filepath.Glob(filepath.Join(dir, "root-*.key")); len(roots) > 0 {
		c.say(checkWarn, "keys", "back them up elsewhere and remove them here; only a change of the identity needs them (--root-keys DIR)",
			"root keys lie on this machine")
	}
}

// private checks that nobody else may use a file.
func (c *checkup) private(path string) {
	if runtime.GOOS == "windows" {
		return // modes say nothing there
	}
	info, err := os.Stat(path)
	if err != nil {
		c.say(checkFail, "permissions", "check who owns it", "%v", err)
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		want, files := "600", "file"
		if info.IsDir() {
			want, files = "700", "folder"
		}
		c.say(checkFail, "permissions", "chmod "+want+" "+path, "%s: others may use this %s, its mode is %o", path, files, mode)
	}
}

// operator looks whether this is the home of a server: one with a log key and no Space.
func (c *checkup) operator(h *home.Home) {
	key, err := h.LogKey()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		c.say(checkFail, "log key", "restore keys/log.key from the backup", "%v", err)
		return
	}
	pin, err := server.CertificatePin(key)
	if err != nil {
		c.say(checkFail, "log key", "restore keys/log.key from the backup", "%v", err)
		return
	}
	c.ok("operator", "this home has the log key of a store; a server with it and --tls self shows the TLS key %s", pin)
	if _, err := h.Identity(); errors.Is(err, home.ErrNoSpace) {
		c.kept = c.storePath(h)
	}
}

// identity looks at the Space's identity and its publisher's certificate.
func (c *checkup) identity(h *home.Home) {
	own, err := h.Identity()
	if errors.Is(err, home.ErrNoSpace) && c.kept != "" {
		return // a server needs none
	}
	if errors.Is(err, home.ErrNoSpace) {
		c.ok("identity", "none: this home follows and does not publish (airlock init makes a Space)")
		return
	}
	if err != nil {
		c.say(checkFail, "identity", "restore space.id from the backup", "%v", err)
		return
	}
	c.ok("identity", "%s, version %d, lineage %s", own.Space(), own.Current().Version, own.Lineage())
	for _, leaf := range own.Current().Leaves {
		c.findings = append(c.findings, leafDates(leaf, c.now()))
	}
	if _, err := os.Stat(filepath.Join(h.Path(), "keys")); errors.Is(err, fs.ErrNotExist) {
		return // said before
	}
	c.match(h)
	c.encryption(h, own)
}

// encryption looks whether what others encrypt to the Space can be opened here.
func (c *checkup) encryption(h *home.Home, own *trust.History) {
	switch {
	case own.Current().Encryption == "":
		c.ok("encryption", "the identity lists no key to encrypt to; airlock identity renew makes one")
	case h.HoldsEncryption(own):
		c.ok("encryption", "the key that the identity lists is here")
	default:
		c.say(checkWarn, "encryption", "nothing, where another home of the Space takes bundles in; else restore it from the backup, or where it is lost: airlock identity renew --encryption new",
			"the identity lists a key to encrypt to that is not in %s", filepath.Join(h.Path(), "keys"))
	}
}

// leafDates looks at the dates of a leaf.
func leafDates(l trust.Leaf, now time.Time) finding {
	from, to := l.X509().NotBefore, l.X509().NotAfter
	renew, over := "airlock identity renew puts a new leaf in its place", "nothing can be signed with it: "
	switch {
	case l.Has(trust.TLS):
		renew, over = "airlock identity renew --tls, in the home that connects with it, puts a new leaf in its place", "servers do not take it: "
	case !l.Has(trust.Publisher):
		renew = "airlock identity add-leaf FILE.pub, with the public key of " + l.Person + ", gives it a new certificate"
	}
	f := finding{Check: "certificate", Result: checkOK, Detail: fmt.Sprintf("that of %s is valid until %s", l.Person, day(to))}
	switch {
	case now.Before(from):
		f.Result, f.Next = checkFail, "set the clock right"
		f.Detail = fmt.Sprintf("that of %s is valid from %s on, which is later than now", l.Person, signing.FormatTime(from))
	case now.After(to):
		f.Result, f.Next = checkFail, over+renew
		f.Detail = fmt.Sprintf("that of %s ended on %s", l.Person, day(to))
	case to.Sub(now) < soon:
		f.Result, f.Next = checkWarn, renew
		f.Detail = fmt.Sprintf("that of %s ends on %s", l.Person, day(to))
	}
	return f
}

// errAsked stands for the passphrase that doctor does not ask for.
var errAsked = errors.New("the key is encrypted")

// match checks that the publisher's key is one that the identity lists. Of an
// encrypted key that cannot be told without its passphrase.
func (c *checkup) match(h *home.Home) {
	_, err := h.Publisher(func() (string, error) { return "", errAsked })
	switch {
	case err == nil:
		c.ok("publisher", "the key is one that the identity lists")
	case errors.Is(err, errAsked), errors.Is(err, signing.ErrPassphrase):
		c.ok("publisher", "the key is encrypted; whether the identity lists it shows when it signs")
	case errors.Is(err, fs.ErrNotExist):
		c.say(checkFail, "publisher", "restore keys/ from the backup, or put a new key in its place: airlock identity renew --drop THUMBPRINT", "%v", err)
	default:
		c.say(checkFail, "publisher", "restore keys and space.id from the same backup", "%v", err)
	}
}

// trust reads every policy and identity of others.
func (c *checkup) trust(h *home.Home) {
	all, err := h.AllTrusted()
	if err != nil {
		c.say(checkFail, "trust", "correct the file, or: airlock trust remove SPACE and add it again", "%v", err)
		return
	}
	c.ok("trust", "%s trusted", count(len(all), "Space is", "Spaces are"))
	now := c.now()
	for _, t := range all {
		if t.Policy.Lineage != t.History.Lineage() {
			c.say(checkFail, "trust", "airlock trust remove "+t.Policy.Space+", then add it again with its right identity file",
				"%s: trusts lineage %s, and the identity beside it is %s", t.Policy.File(), t.Policy.Lineage, t.History.Lineage())
		}
		if t.Policy.Until != nil && now.After(t.Policy.Until.End()) {
			c.say(checkWarn, "trust", "extend until in "+t.Policy.File()+", or remove it", "trust in %s ended on %s", t.Policy.Space, t.Policy.Until)
		}
	}
}

// state opens what was seen of every feed.
func (c *checkup) state(ctx context.Context, h *home.Home) {
	if _, err := h.State(ctx); err != nil {
		c.say(checkFail, "state", stateHint(err), "%v", err)
		return
	}
	states, err := c.followedFeeds()
	if err != nil {
		c.say(checkFail, "state", "restore the home's state folder, or remove it to verify all feeds anew (what was seen is then forgotten)", "%v", err)
		return
	}
	c.ok("state", "%s followed", count(len(states), "feed was", "feeds were"))
}

func stateHint(err error) string {
	if as[*storage.FormatError](err) {
		return "update airlock, or restore the state folder"
	}
	return "check who owns the state folder and whether the disk is full"
}

// oldest is a day before which no clock that runs this program can be right.
var oldest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// clock holds the machine's clock against what this home remembers.
func (c *checkup) clock() {
	now := c.now()
	if now.Before(oldest) {
		c.say(checkFail, "clock", "set the clock right", "it says %s", signing.FormatTime(now))
		return
	}
	states, _ := c.followedFeeds() // state told of its errors
	for _, s := range states {
		if s.SeenAt.After(now.Add(5 * time.Minute)) {
			c.say(checkFail, "clock", "set the clock right", "it says %s, and feed %s was seen at %s",
				signing.FormatTime(now), s.ID, signing.FormatTime(s.SeenAt))
			return
		}
	}
	c.ok("clock", "%s", signing.FormatTime(now))
}
