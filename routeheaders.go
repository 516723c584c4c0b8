package weir

import (
	"fmt"
	"slices"
	"strings"
)

// HeaderChanges are what is done with headers: first some are removed, then others are set and added.
type HeaderChanges struct {
	// Set gives headers these values, whatever they had.
	Set map[string]string `json:"set,omitempty"`
	// Add puts headers beside those of the same name.
	Add map[string]string `json:"add,omitempty"`
	// Remove takes headers away.
	Remove []string `json:"remove,omitempty"`
}

// MaxHeaderValue is how long the value of a header can be that a route sets, in bytes; MaxHeaderChanges is how many
// headers it can change in one direction.
const (
	MaxHeaderValue   = 1024
	MaxHeaderChanges = 16
)

// kept are the headers that say how a message is to be read, where it goes, and who sent it: those of the connection
// (RFC 9110, 7.6.1), and those that Weir writes itself.
var kept = strings.Fields(`connection content-length expect host http2-settings keep-alive proxy-authenticate proxy-authorization
	proxy-connection te trailer transfer-encoding upgrade forwarded x-forwarded-for x-forwarded-proto strict-transport-security`)

// CheckChangedHeader says why a route can't change the header name, or nil.
func CheckChangedHeader(name string) error {
	if err := CheckMatchName(name); err != nil {
		return err
	}
	if slices.Contains(kept, strings.ToLower(name)) {
		return fmt.Errorf("%q is the connection's or Weir's own and stays as it is", name)
	}
	return nil
}

// CheckHeaderValue says why s can't be the value of a header, or nil: printable ASCII that neither begins nor ends with a
// blank.
func CheckHeaderValue(s string) error {
	switch {
	case s == "" || strings.Trim(s, " ") != s:
		return fmt.Errorf("must not be empty, and neither begin nor end with a blank")
	case len(s) > MaxHeaderValue:
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxHeaderValue)
	case strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return fmt.Errorf("may hold only printable ASCII")
	}
	return nil
}

// normalize writes names in small letters, as HTTP/2 does, so that equal ones are found.
func (c *HeaderChanges) normalize() {
	if c == nil {
		return
	}
	for _, of := range []*map[string]string{&c.Set, &c.Add} {
		lower := make(map[string]string, len(*of))
		for name, value := range *of {
			lower[strings.ToLower(name)] = value
		}
		if len(lower) == len(*of) && len(lower) > 0 { // else a name comes twice, which validate says
			*of = lower
		}
	}
	for i := range c.Remove {
		c.Remove[i] = strings.ToLower(c.Remove[i])
	}
}

func (c *HeaderChanges) validate(p *Problems, path string) {
	if n := len(c.Set) + len(c.Add) + len(c.Remove); n == 0 || n > MaxHeaderChanges {
		p.Add(path, "changes %d headers; at least 1 and at most %d are allowed", n, MaxHeaderChanges)
	}
	seen := map[string]bool{}
	name := func(path, name string) {
		if err := CheckChangedHeader(name); err != nil {
			p.Add(path, "%s", err)
		}
		if key := strings.ToLower(name); seen[key] {
			p.Add(path, "%q is changed twice", clip(name))
		} else {
			seen[key] = true
		}
	}
	for field, of := range map[string]map[string]string{"set": c.Set, "add": c.Add} {
		for _, key := range sortedKeys(of) {
			at := path + "." + field + "." + clip(key)
			name(at, key)
			if err := CheckHeaderValue(of[key]); err != nil {
				p.Add(at, "%s", err)
			}
		}
	}
	for i, key := range c.Remove {
		name(index(path+".remove", i), key)
	}
}
