package weir

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
)

// MaxName is the longest name of an object, in bytes.
const MaxName = 63

// CheckName says why s can't name an object, or nil. Names begin and end with a letter or digit and hold
// lower-case letters, digits, '-' and '_' between: nothing that HAProxy's configuration, its run-time
// commands, a path or a map key could read as more than a word.
func CheckName(s string) error {
	if s == "" {
		return fmt.Errorf("is required")
	}
	if len(s) > MaxName {
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxName)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '_') && i > 0 && i < len(s)-1:
		default:
			return fmt.Errorf("%q may hold only a-z, 0-9, '-' and '_', and must begin and end with a letter or digit", clip(s))
		}
	}
	return nil
}

// CheckText says why s can't be put as a value into configuration or run-time commands, or nil: it must be
// printable ASCII without quotes, backslashes, '%', '#', ';', '<' or blanks.
func CheckText(s string) error {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`"'\%#;<>$`, c) >= 0 {
			return fmt.Errorf("%q holds %q, which is not allowed here", clip(s), c)
		}
	}
	return nil
}

// CheckURLPath says why s can't be a path that is matched or requested, or nil. It begins with '/', is as it stands
// in a request line (RFC 3986: what may not stand there is %XX), and at most 1024 bytes long. A '%' never begins
// anything but two hexadecimal digits, and there is no blank, quote, backslash, '#', ';' or bracket.
func CheckURLPath(s string) error {
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%q must begin with '/'", clip(s))
	}
	if len(s) > 1024 {
		return fmt.Errorf("is %d bytes long; at most 1024 are allowed", len(s))
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("\"'\\#;<>[]`{}|^", c) >= 0 {
			return fmt.Errorf("%q holds %q, which a URL path can't hold; write it as %%%02X", clip(s), c, c)
		}
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return fmt.Errorf("%q holds a '%%' without two hexadecimal digits behind it; write the sign itself as %%25", clip(s))
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// checkMatchPath is for paths that requests are held against, which have no query.
func checkMatchPath(s string) error {
	if strings.Contains(s, "?") {
		return fmt.Errorf("%q holds '?', which begins a query; only the path is looked at", clip(s))
	}
	return CheckURLPath(s)
}

// CheckHost says why s can't be sent as a Host header, or nil: a host name, an IPv4 address or an IPv6
// address in brackets, with or without a port.
func CheckHost(s string) error {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.HasPrefix(port, "+") {
			return fmt.Errorf("%q must be a host name, or one with a port behind a colon", clip(s))
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); err == nil && closed && a.Is6() && a.Zone() == "" {
			return nil
		}
	}
	if c, err := CanonicalHostname(host); err != nil {
		return err
	} else if c != strings.ToLower(host) || strings.HasPrefix(c, "*") {
		return fmt.Errorf("%q must be written out in ASCII, such as %q, and name one host", clip(s), c)
	}
	return nil
}

// clip shortens what somebody sent so that it can stand in a message, on one line.
func clip(s string) string {
	const longest = 80
	more := ""
	if len(s) > longest {
		s, more = strings.ToValidUTF8(s[:longest], ""), "…"
	}
	return strings.Map(func(r rune) rune {
		if misleads(r) {
			return '\uFFFD'
		}
		return r
	}, s) + more
}

// misleads says whether a character does something else than be seen: controls, line ends, and what turns the
// direction of text.
func misleads(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\uFFFD'
}

// CanonicalHostname gives the form in which hostnames are compared: lower case, A-labels (RFC 5890), no
// trailing dot. A leading "*." stands for one or more labels; "*" alone for any host.
func CanonicalHostname(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	rest, wild := strings.CutPrefix(s, "*.")
	rest = strings.TrimSuffix(rest, ".")
	ascii := rest
	if !plainHostname(rest) {
		var err error
		if ascii, err = hostnames.ToASCII(strings.ToLower(rest)); err != nil {
			return "", fmt.Errorf("%q is no host name: %w", clip(s), err)
		}
	}
	if ascii == "" || len(ascii) > 253 {
		return "", fmt.Errorf("%q is no host name: its length must be 1 to 253", clip(s))
	}
	for _, label := range strings.Split(ascii, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("%q is no host name: %w", clip(s), err)
		}
	}
	if wild {
		return "*." + ascii, nil
	}
	return ascii, nil
}

// plainHostname says of most names that ToASCII leaves them as they are, which costs more than all else of a name: small
// letters and digits, between which there are single dots and hyphens.
func plainHostname(s string) bool {
	between := true
	for i := range len(s) {
		c := s[i]
		if plain := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'; plain {
			between = false
		} else if between || c != '.' && c != '-' {
			return false
		} else {
			between = true
		}
	}
	return !between
}

var hostnames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

func checkLabel(label string) error {
	if label == "" || len(label) > 63 {
		return fmt.Errorf("a label must be 1 to 63 bytes long")
	}
	for i := 0; i < len(label); i++ {
		c := label[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && !(c == '_' && i == 0) && !(c == '-' && i > 0 && i < len(label)-1) && !(c == '_' && i < len(label)-1) {
			return fmt.Errorf("label %q may hold only letters, digits, '-' and '_'", label)
		}
	}
	return nil
}

// Duration is a time span written as in "2s", "500ms", "1m30s".
type Duration time.Duration

// D gives the span as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Ms gives the span in whole milliseconds.
func (d Duration) Ms() int64 { return time.Duration(d).Milliseconds() }

// String gives the shortest usual form: 30s, 1m, 1h30m.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the usual form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the usual form; a bare number has no unit and is refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration; write it as 500ms, 2s, 1m30s or 8h", clip(string(b)))
	}
	*d = Duration(v)
	return nil
}

// Within reports d at path unless low ≤ d ≤ high.
func (d Duration) within(p *Problems, path string, low, high time.Duration) {
	if d.D() < low || d.D() > high {
		p.Add(path, "%s is outside %s to %s", d, Duration(low), Duration(high))
	}
}

// canonicalPrefix masks the host bits away, so that equal networks compare equal.
func canonicalPrefix(p netip.Prefix) netip.Prefix {
	if !p.IsValid() {
		return p
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked()
}
