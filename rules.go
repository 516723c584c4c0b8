package weir

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Port is a TCP port, 1 to 65535.
type Port int

// String gives the number.
func (p Port) String() string { return strconv.Itoa(int(p)) }

// MarshalText writes the number, so that a Port can be the key of a JSON object.
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the number.
func (p *Port) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is no port; ports are 1 to 65535", clip(string(b)))
	}
	*p = Port(n)
	return nil
}

// MarshalJSON writes a number where a value is asked.
func (p Port) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalJSON reads a number.
func (p *Port) UnmarshalJSON(b []byte) error {
	return p.UnmarshalText([]byte(strings.Trim(string(b), `"`)))
}

func (p Port) check(list *Problems, path string) {
	if p < 1 || p > 65535 {
		list.Add(path, "%d is no port; ports are 1 to 65535", int(p))
	}
}

// Status3 is an HTTP status that an error page can stand for.
type Status3 int

// ErrorStatuses are the statuses that HAProxy itself answers with and that pages can replace
// (HAProxy configuration manual 3.4, http-error).
var ErrorStatuses = []Status3{400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501, 502, 503, 504}

// MarshalText writes the number.
func (s Status3) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(s))), nil }

// UnmarshalText reads the number.
func (s *Status3) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return fmt.Errorf("%q is no HTTP status", clip(string(b)))
	}
	*s = Status3(n)
	return nil
}

func (s Status3) check(p *Problems, path string) {
	if !slices.Contains(ErrorStatuses, s) {
		p.Add(fmt.Sprintf("%s[%d]", path, int(s)), "no page can stand for status %d; it must be one of %v", int(s), ErrorStatuses)
	}
}

// PortMode is what a port of a group speaks.
type PortMode string

// The modes of a port.
const (
	PortHTTP           = "http"
	PortHTTPS          = "https"
	PortTCP            = "tcp"
	PortTLSTCP         = "tls-tcp"
	PortTLSPassthrough = "tls-passthrough"
)

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func required(p *Problems, path, value string) {
	if value == "" {
		p.Add(path, "is required")
	} else if err := CheckName(value); err != nil {
		p.Add(path, "%s", err)
	}
}

func between(p *Problems, path string, v, low, high int) {
	if v < low || v > high {
		p.Add(path, "%d is outside %d to %d", v, low, high)
	}
}

func oneOf(p *Problems, path, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		p.Add(path, "%q must be one of %s", clip(v), strings.Join(allowed, ", "))
	}
}

func unique(p *Problems, path string, list []string) {
	seen := make(map[string]bool, len(list))
	for i, v := range list {
		if seen[v] {
			p.Add(index(path, i), "%q is listed twice", clip(v))
		}
		seen[v] = true
	}
}

func names(p *Problems, path string, list []string) {
	unique(p, path, list)
	for i, v := range list {
		if err := CheckName(v); err != nil {
			p.Add(index(path, i), "%s", err)
		}
	}
}

func text(p *Problems, path, v string, longest int) {
	if len(v) > longest {
		p.Add(path, "is %d bytes long; at most %d are allowed", len(v), longest)
	} else if err := CheckText(v); err != nil {
		p.Add(path, "%s", err)
	}
}

func prose(p *Problems, path, v string, longest int) {
	if len(v) > longest {
		p.Add(path, "is %d bytes long; at most %d are allowed", len(v), longest)
	}
	if i := strings.IndexFunc(v, misleads); i >= 0 {
		p.Add(path, "holds a control character, or one that hides text, at byte %d", i)
	}
}

func checkPrefixes(p *Problems, path string, list []netip.Prefix) {
	seen := make(map[netip.Prefix]bool, len(list))
	for i, r := range list {
		if !r.IsValid() {
			p.Add(index(path, i), "must be a network, such as 192.0.2.0/24 or 2001:db8::/32")
		} else if seen[r] {
			p.Add(index(path, i), "%s is listed twice", r)
		}
		seen[r] = true
	}
}

func checkUser(p *Problems, path, v string) {
	if v == "root" {
		p.Add(path, "HAProxy does not stay root; name an account of its own, such as haproxy")
	}
	if err := CheckName(strings.TrimPrefix(v, "_")); err != nil {
		p.Add(path, "must be the name of a system account: %s", err)
	}
}

func optional(list []Reference, path, kind, name string) []Reference {
	if name == "" {
		return list
	}
	return append(list, Reference{Ref{kind, name}, "spec." + path})
}

func each(list []Reference, path, kind string, names []string) []Reference {
	for i, n := range names {
		list = optional(list, index(path, i), kind, n)
	}
	return list
}

func pageReferences(pages map[Status3]string) []Reference {
	var list []Reference
	for _, s := range sortedKeys(pages) {
		list = optional(list, fmt.Sprintf("errorPages[%d]", int(s)), "ErrorPage", pages[s])
	}
	return list
}

func sortedKeys[K interface{ ~int | ~string }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
