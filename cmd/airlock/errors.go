package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/kind"
	"airlock/feed/log"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/internal/outbox"
	"airlock/internal/publish"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Exit codes.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitIncomplete   = 3
	exitDifferent    = 4
	exitBadSignature = 10
	exitUntrusted    = 11
	exitRollback     = 12
	exitUnapproved   = 13
	exitNoBase       = 14
	exitRepairable   = 15
	exitNoRoom       = 16
	exitStale        = 17
	exitInterrupted  = 130
)

// failure is an error with its exit code and the next step.
type failure struct {
	code  int
	cause error
	what  string // shown instead of cause where it is not empty
	hint  string
}

func (f *failure) Error() string {
	if f.what != "" || f.cause == nil {
		return f.what
	}
	return f.cause.Error()
}

func (f *failure) Unwrap() error { return f.cause }

var errInterrupted = &failure{code: exitInterrupted, what: "interrupted", hint: "run the same command again: it goes on where it stopped"}

// usage reports a command line that cannot be followed.
func usage(format, hint string, args ...any) error {
	return &failure{code: exitUsage, what: fmt.Sprintf(format, args...), hint: hint}
}

// hinted keeps the code of cause and replaces what is said.
func hinted(cause error, what, hint string) error {
	code, _ := outcomeOf(cause)
	return &failure{code: code, cause: cause, what: what, hint: hint}
}

// hintOr is the hint that an error has of its own, or else another.
func hintOr(err error, hint string) string {
	var own interface{ Hint() string }
	if errors.As(err, &own) {
		return own.Hint()
	}
	return hint
}

// exitWith ends a command with a code that is no fault of the program, such
// as 4 for differences. Nothing is printed for an empty what.
func exitWith(code int, what, hint string) error {
	return &failure{code: code, what: what, hint: hint}
}

// outcomes is the one table from an error to the exit code and the hint. The
// first row that matches decides.
var outcomes = []struct {
	match func(error) bool
	code  int
	hint  string
}{
	{as[*apply.IncompleteError], exitIncomplete, "look at what the program wrote, and pull again: what it did not take is handed to it again"},
	{as[*storage.SettingError], exitUsage, ""}, // its own hint says what
	{is(storage.ErrNoBucket), exitUsage, "make the bucket, which airlock does not, or correct its name; where it is AIRLOCK_S3_ENDPOINT and AIRLOCK_S3_REGION say"},
	{as[*feedhttp.BaseError], exitUsage, "say --server https://…; http is for this machine only"},
	{as[*tls.CertificateVerificationError], exitUntrusted, "nobody whom this machine trusts vouches for it: airlock join pins the key of a server, with a code of its operator; else check --server"},
	{as[*feedhttp.PinError], exitUntrusted, "another server answers, or its key was replaced: ask the operator which; with a new code (airlock server invite) airlock join pins the new key"},
	{as[*net.OpError], exitFailed, "is the server running (airlock serve, or the bucket's own), and is the address right (--server, AIRLOCK_S3_ENDPOINT)? --store DIR works without one"},
	{is(http.ErrSchemeMismatch), exitFailed, "it speaks plain HTTP there: check the address (--server, AIRLOCK_S3_ENDPOINT); the operator of a server turns TLS on with airlock serve --tls self"},
	{is(feedhttp.ErrTLS), exitFailed, "say https:// for this address"},
	{is(context.Canceled), exitInterrupted, "run the same command again: it goes on where it stopped"},
	{is(syscall.EROFS), exitFailed, "it cannot be written to: take off the write protection, or name another folder"},
	{as[*feedhttp.QuotaError], exitNoRoom, "ask the operator for more: airlock server quota SPACE"},
	{as[*feedhttp.RateError], exitFailed, "ask less often, or ask the operator for more: airlock server quota SPACE"},
	{noRoom, exitNoRoom, "make room and run the same command again; nothing is half done"},
	{unreadable, exitFailed, "is the disk or medium still there? Put it back and run the same command again; one that is there fails: copy it again from where it came"},
	{repairable, exitRepairable, "airlock bundle repair makes it whole again from what is here"},
	{as[*bundle.DamagedError], exitBadSignature, "copy the volume again from where it came, or have a new bundle made"},
	{as[*bundle.MissingVolumeError], exitNoBase, "bring the missing volumes, in any folder: airlock takes several paths"},
	{as[*bundle.BaseError], exitNoBase, "send the sender your newest holdings (airlock holdings), or have it make the bundle in full (--full)"},
	{as[*absentError], exitNoBase, "pull into the folder that has it, or have a new one made on what is here: airlock holdings -o DIR"},
	{as[*earlierError], exitNoBase, "take in the bundle before, or give the maker what is held here for a new one: airlock holdings -o DIR; a copy of a home is made anew after each taking in"},
	{as[*bundle.AheadError], exitNoBase, "the receiver knows more of the feed than is here: pull the feed first, or make the bundle from where it was published"},
	{as[*bundle.AudienceError], exitUntrusted, "this medium is for another Space: take it there, or have one made for this one"},
	{as[*home.DecryptionError], exitUntrusted, "the bundle is encrypted to another key than those of this home"},
	{is(bundle.ErrKey), exitUntrusted, "the bundle is encrypted for another receiver: have one made for this Space (--encrypt-to)"},
	{as[*bundle.ExpiredError], exitStale, "have a new bundle made"},
	{as[*bundle.SeveralError], exitUsage, "name the volumes of one of them"}, // its own hint names them
	{as[*bundle.VolumeSizeError], exitUsage, "say a larger --max-volume-size"},
	{is(bundle.ErrMalformed), exitBadSignature, "this is no bundle that a program of ours wrote: copy it again from where it came, and tell the sender"},
	{is(trust.ErrUnapproved), exitUnapproved, "have the persons of the policy approve it, or change approvals in the policy file"},
	{is(trust.ErrUnscanned), exitUnapproved, "have it scanned: airlock pull FEED --scan COMMAND, with exit status 0 for what is clean"},
	{is(apply.ErrNoScanner), exitFailed, "correct the scanner's command, which --scan, AIRLOCK_SCAN or scan in config.yaml says, and pull again"},
	{is(trust.ErrUnclean), exitUntrusted, "do not use it, and tell the publisher; if the scanner erred, pull again with --scan COMMAND --rescan"},
	{is(trust.ErrStale), exitStale, "ask the Space's people for new holdings (airlock holdings) and take them in; what runs here stays as it is"},
	{as[*feed.RollbackError], exitRollback, "do not go on: ask the publisher for its newest checkpoint over another channel; both heads are kept as evidence in the home"},
	{either(log.ErrWentBack, feedhttp.ErrWentBack), exitRollback, "the store was put back or rewritten: restore its newest copy; or it is another store than before: name the one that was served, or move that one here (docs/operations.md)"},
	{is(signing.ErrBadSignature), exitBadSignature, "what arrived is not what was signed: fetch it again from another source, and tell the publisher"},
	{is(signing.ErrTimestamp), exitBadSignature, "the time authority's answer does not hold: check --tsa and --tsa-certs, and tell who runs it"},
	{is(errUnasked), exitFailed, "set AIRLOCK_PASSPHRASE, say --passphrase-file FILE, or run airlock receipt send"},
	{is(outbox.ErrUnsigned), exitFailed, "another process makes receipts: run airlock receipt send once it is done"},
	{is(feed.ErrCheckpoint), exitBadSignature, "what arrived is not what was signed: fetch it again from another source, and tell the operator"},
	{is(feed.ErrRoot), exitBadSignature, "what arrived is not what was signed: fetch it again from another source, and tell the operator"},
	{is(feed.ErrMalformed), exitBadSignature, "what arrived is no part of a feed: fetch it again from another source, and tell the operator"},
	{is(feedhttp.ErrAnswer), exitBadSignature, "no honest answer is that large: check --server, or read from another source"},
	{is(log.ErrDamaged), exitBadSignature, "the store's bytes were changed or damaged: read from another source, and tell the operator"},
	{as[*storage.DigestError], exitBadSignature, "the bytes were changed or damaged: fetch them again from another source"},
	{as[*storage.SizeError], exitBadSignature, "the bytes were cut or added to: fetch them again from another source"},
	{deniedBy(server.RuleAdmission), exitUntrusted, "have the operator run: airlock server admit FILE (from: airlock identity export -o FILE)"},
	{deniedBy(server.RuleCaller), exitUntrusted, "show the credential of who may: of the feed's own Space, or of an administrator (--token-file FILE)"},
	{deniedBy(trust.RuleInvitation), exitUntrusted, "ask the operator for a new code: airlock server invite"},
	{deniedBy(trust.RuleEnrolment), exitUntrusted, "run airlock join again in the home of the Space, with the right clock; the operator's code stays good"},
	{deniedBy("lineage"), exitUntrusted, "two Spaces use this name: ask its people which lineage is theirs, and trust or admit no other"},
	{deniedBy("dates"), exitUntrusted, "airlock identity renew puts a new leaf in the place of one that ended; if it has not, set the clock right"},
	{deniedBy("opening"), exitUntrusted, "airlock identity publish, with a home of that Space, learns the newest identity version and carries it into each feed; if its people know nothing of this feed, do not go on"},
	{deniedBy(trust.RuleTrustLists), exitUntrusted, "ask its publisher for an edge; airlock trust show SPACE prints what trust lists let in, and whose are heeded the policies say"},
	{deniedBy("position", "role", "revocation"), exitUntrusted, "this was not signed by who may sign for the Space: do not go on, ask its people"},
	{is(trust.ErrUntrusted), exitUntrusted, "airlock trust show SPACE prints what is trusted; edit the file that it names to let more in"},
	{is(trust.ErrMalformed), exitBadSignature, "the publisher's program is broken or the statement was moved here from elsewhere"},
	{is(signing.ErrPassphrase), exitFailed, "give the passphrase that was chosen at airlock init, or at airlock key new"},
	{is(home.ErrNoKey), exitFailed, "run it with the home that has the keys (--home DIR), or restore keys/ from the backup"},
	{is(home.ErrAgent), exitFailed, "stop that one first (SIGTERM), or use a --home of its own"},
	{is(home.ErrNoSpace), exitUsage, "make one first: airlock init <organisation>/<space>"},
	{withdrawing, exitFailed, "airlock list FEED --all shows which versions are live"},
	{as[*feed.VersionError], exitFailed, "publish the change under a new version; a version never changes its content"},
	{as[*feed.ChainError], exitFailed, "somebody else published meanwhile: run the command again"},
	{as[*feed.GapError], exitIncomplete, "the source does not have all entries yet: try again later or from another source"},
	{is(feed.ErrDocument), exitIncomplete, "the source does not have all of the feed: try again later or from another source"},
	{as[*feed.CriticalError], exitFailed, "update airlock: the publisher requires a newer version"},
	{as[*storage.FormatError], exitFailed, "this is of another version of airlock, or not airlock's: check the path, or update"},
	{is(storage.ErrFrame), exitBadSignature, "the bytes were changed or damaged: fetch them again from another source"},
	{is(storage.ErrBase), exitNoBase, "what is here is not what the delta was made from: have it made anew, for what is here"},
	{is(publish.ErrNoKind), exitFailed, "say what it is: --kind and --version, for a plain file --kind file"},
	{as[*kind.Error], exitFailed, "correct the file at the place named; airlock schema KIND, or airlock schema subscription, prints what is expected"},
	{is(log.ErrKept), exitUntrusted, "name a store of its own for feeds that come on media, with --store"},
	{as[*log.OperatorError], exitUntrusted, "a further server of it has a home of its own, with the keys/log.key of the first one's; to publish there say --server URL; your own store is another folder"},
	{either(log.ErrForeignKey, feedhttp.ErrForeignLog), exitUntrusted, "publish through the server that keeps this feed (--server URL), or with its operator's home"},
	{as[*feedhttp.LimitError], exitFailed, "send less at once: fewer files in one command, or smaller ones"},
	{as[*feedhttp.ShareError], exitFailed, "try again in a moment, with less at once"},
	{is(storage.ErrAway), exitFailed, "whoever runs the server looks at its store, the bucket or the folder, and at the server's log; nothing is half done, so run the same command again then"},
	{either(log.ErrBusy, feedhttp.ErrBusy), exitFailed, "try again in a moment"},
	{is(storage.ErrSpoolTaken), exitFailed, "a server runs with this home already: stop it, or serve with a --home of its own"},
	{as[*feedhttp.CertificateError], exitUntrusted, "ask the operator whether this Space is confirmed yet (airlock server confirm) and still admitted; if it is, airlock identity publish tells the servers of the newest identity, and airlock identity renew --tls makes another certificate"},
	{is(feedhttp.ErrUnauthorized), exitUntrusted, "ask the operator for a token (airlock server token add) and say --token-file FILE, or for a code to join with (airlock join)"},
	{as[*apply.HeadError], exitRollback, "the folder was filled from a newer state of the feed: pull from the source it was filled from"},
	{is(fs.ErrNotExist), exitFailed, "check the path or the name: there is nothing of it"},
	{is(syscall.EISDIR), exitFailed, "a file is wanted there, and this is a folder: name the file"},
	{is(syscall.ENOTDIR), exitFailed, "a folder is wanted there, and this is a file: check the path"},
	{is(fs.ErrPermission), exitFailed, "check who owns the file and its mode, or what the credentials of the bucket are good for"},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func either(a, b error) func(error) bool {
	return func(err error) bool { return errors.Is(err, a) || errors.Is(err, b) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// deniedBy matches refusals by one of the rules.
func deniedBy(rules ...string) func(error) bool {
	return func(err error) bool {
		denied, ok := errors.AsType[*trust.DeniedError](err)
		return ok && slices.Contains(rules, denied.Rule)
	}
}

// noRoom matches a full disk or quota, of a store or anywhere else.
func noRoom(err error) bool {
	return errors.Is(err, storage.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// unreadable matches a disk or medium that is gone or fails.
func unreadable(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV)
}

// repairable matches damage that a bundle's parity makes good.
func repairable(err error) bool {
	d, ok := errors.AsType[*bundle.DamagedError](err)
	return ok && d.Repairable
}

// withdrawing matches versions that cannot be withdrawn.
func withdrawing(err error) bool {
	v, ok := errors.AsType[*feed.VersionError](err)
	return ok && v.Withdrawing
}

// outcomeOf returns the exit code and the hint for an error.
func outcomeOf(err error) (code int, hint string) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code, f.hint
	}
	for _, o := range outcomes {
		if o.match(err) {
			return o.code, hintOr(err, o.hint)
		}
	}
	return exitFailed, hintOr(err, "airlock doctor looks for the usual causes")
}

// report prints an error as two lines, what happened and what to do next, and
// returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	code, hint := outcomeOf(err)
	if what := err.Error(); what != "" {
		a.clearBar()
		fmt.Fprintf(a.err, "airlock: error: %s\n", oneLine(what))
		if hint != "" {
			fmt.Fprintf(a.err, "airlock: hint: %s\n", hint)
		}
	}
	return code
}

// oneLine joins the lines of an error's text. Each layer of the program names
// what it works on, so a line may say a thing twice: it is said once.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		var said []string
		for _, part := range strings.Split(asked().ReplaceAllString(line, ""), ": ") {
			if !slices.Contains(said, part) {
				said = append(said, part)
			}
		}
		lines[i] = strings.Join(said, ": ")
	}
	return strings.Join(lines, "; ")
}

// asked is how Go's HTTP client begins an error; whom it asked for what, the
// error around it names.
var asked = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(Get|Head|Post|Put|Patch) "https?://[^"]*": `)
})
