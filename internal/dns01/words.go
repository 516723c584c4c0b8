package dns01

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/miekg/dns"
)

// refusal says in words why a server did not take an update, and what to do.
func refusal(m *dns.Msg, zone string, key Key) error {
	if t := m.IsTsig(); t != nil && t.Error != dns.RcodeSuccess {
		return fmt.Errorf("%s, %s", rcode(m.Rcode), signatureRefusal(t, key))
	}
	switch m.Rcode {
	case dns.RcodeFormatError:
		return errors.New("FORMERR: the server can't read the update; is it one that takes dynamic updates (RFC 2136)?")
	case dns.RcodeServerFailure:
		return temporary{errors.New("SERVFAIL: the server can't do it now; its log says why (a zone that is not loaded, a journal that can't be written, a primary that it can't reach)")}
	case dns.RcodeNotImplemented:
		return errors.New("NOTIMP: the server takes no dynamic updates (RFC 2136); name the zone's primary, or use a program")
	case dns.RcodeRefused:
		return fmt.Errorf("REFUSED: the server forbids it; allow the key %s to change TXT records of this name (BIND: update-policy, Knot DNS: an acl with action: update)", key)
	case dns.RcodeNotAuth:
		return fmt.Errorf("NOTAUTH: the server is not the primary of %s, or does not know or allow the key %s there (Knot DNS says no more); name the primary, compare the key's name and algorithm with its configuration, and allow the key to update the zone", zone, key)
	case dns.RcodeNotZone:
		return fmt.Errorf("NOTZONE: the name does not lie in %s; correct the zone, or leave it out to have it found", zone)
	}
	return fmt.Errorf("%s: the server refused the update; its log says why", rcode(m.Rcode))
}

func signatureRefusal(t *dns.TSIG, key Key) error {
	switch t.Error {
	case dns.RcodeBadSig:
		return fmt.Errorf("BADSIG: the secret of the key %s is not the server's", key)
	case dns.RcodeBadKey:
		return fmt.Errorf("BADKEY: the server does not know the key %s; compare name and algorithm with its configuration, and whether the zone allows the key", key)
	case dns.RcodeBadTime:
		return fmt.Errorf("BADTIME: %s; set the clocks right", clocks(t))
	case dns.RcodeBadTrunc:
		return errors.New("BADTRUNC: the server wants another length of signature")
	}
	return fmt.Errorf("TSIG error %d", t.Error)
}

// clocks says by how much the server's clock differs from ours, out of its answer to what it found signed at
// the wrong time: that repeats our time, and tells its own.
func clocks(t *dns.TSIG) string {
	raw, err := hex.DecodeString(t.OtherData)
	if err != nil || len(raw) != 6 {
		return fmt.Sprintf("the clocks of the server and of this machine differ by more than %d s", fudge)
	}
	var theirs int64
	for _, b := range raw {
		theirs = theirs<<8 | int64(b)
	}
	behind, way := int64(t.TimeSigned&(1<<48-1))-theirs, "behind"
	if behind < 0 {
		behind, way = -behind, "ahead of"
	}
	const year = 365 * 24 * 3600
	if behind > year {
		return fmt.Sprintf("the server's clock is more than a year %s this machine's", way)
	}
	return fmt.Sprintf("the server's clock is %s %s this machine's", time.Duration(behind)*time.Second, way)
}

func rcode(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", code)
}

// clip shortens what others wrote so that it can stand in a message, on one line.
func clip(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return clean(s)
}

// clean replaces what does something else than be seen.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func unprintable(r rune) bool {
	return r != ' ' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r))
}

// temporary marks what may go better a moment later.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

func again(err error) bool {
	var t temporary
	return errors.As(err, &t)
}
