package api

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"weir"
)

// SearchAnswer is what people look for, the best first.
type SearchAnswer struct {
	Revision int64 `json:"revision"`
	Hits     []Hit `json:"hits"`
	// More counts what there is no room for.
	More int `json:"more"`
}

// Hit is an object that was found.
type Hit struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Role  string `json:"role,omitempty"`
	State State  `json:"state,omitempty"`
	Why   string `json:"why,omitempty"`
	// Field is what it was found by: name, hostname, address, network, fingerprint, serial, label, port, cluster, member.
	// Text is what stands there, as it is compared: in small letters.
	Field string `json:"field"`
	Text  string `json:"text"`
}

// The bounds of a search.
const (
	hitsAtOnce = 20
	mostHits   = 200
	longestQ   = 300
)

var searchParams = []param{
	{name: "q", kind: "string", doc: "What to look for: a part of a name, host name, label or fingerprint, an address or network, :8443 for a port, a URL for its host. Kind/part looks among one kind."},
	{name: "limit", kind: "integer", doc: "The most to answer, 20 when left out."},
}

// search looks through everything that the caller may see.
func (c *call) search() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	text := strings.TrimSpace(c.text("q"))
	if text == "" || len(text) > longestQ || !utf8.ValidString(text) {
		return queryProblem("q", text, "what to look for, of at most 300 bytes")
	}
	limit, err := c.number("limit", hitsAtOnce, 1, mostHits)
	if err != nil {
		return err
	}
	p, s := c.h.picture(c.who.Subject), newSeeker(text)
	c.revision = p.view.Revision
	found := c.look(p, s)
	answer := SearchAnswer{Revision: p.view.Revision, Hits: []Hit{}, More: max(0, len(found)-int(limit))}
	for _, f := range found[:min(len(found), int(limit))] {
		state, why := p.stateOf(f.object)
		o := f.object
		answer.Hits = append(answer.Hits, Hit{Kind: o.Kind, Name: o.Metadata.Name, Role: o.Metadata.Role, State: state, Why: why, Field: f.name, Text: f.text})
	}
	return c.answerTagged(answer)
}

// finding is an object and what it was found by.
type finding struct {
	handle
	object   *weir.Object
	rank, of int
}

// soughtFirst are the kinds that people mostly mean; the others follow.
var soughtFirst = []string{"Site", "Pool", "Server", "LoadBalancer", "IPAddress", "Certificate", "Route"}

func soughtRank(kind string) int {
	if i := slices.Index(soughtFirst, kind); i >= 0 {
		return i
	}
	return len(soughtFirst)
}

// look finds everything, the best first.
func (c *call) look(p *picture, s *seeker) []finding {
	var list []finding
	for _, kind := range weir.Kinds() {
		if kind.ReadOnly || s.kind != "" && s.kind != kind.Name {
			continue
		}
		for _, h := range p.handles(kind.Name) {
			best, rank := handle{}, noMatch
			for _, one := range h.handles {
				if r := s.rank(one); r < rank {
					best, rank = one, r
				}
			}
			if network, ok := s.within(h.object); ok && rank > matchWord {
				best, rank = handle{"network", network}, matchWord
			}
			if rank < noMatch && c.may(h.object) == nil {
				list = append(list, finding{best, h.object, rank, soughtRank(kind.Name)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b finding) int {
		return cmp.Or(a.rank-b.rank, a.of-b.of, cmp.Compare(len(a.text), len(b.text)), cmp.Compare(a.object.Metadata.Name, b.object.Metadata.Name))
	})
	return list
}

// How well something matches, the best first.
const (
	matchExact = iota
	matchPrefix
	matchWord
	matchInside
	noMatch
)

// seeker knows what is looked for, and what else it may be written as.
type seeker struct {
	text string
	kind string // the only one that is looked through
	// plain is text without the colons of a fingerprint.
	plain   string
	address netip.Addr
	network netip.Prefix
}

func newSeeker(text string) *seeker {
	s := &seeker{text: strings.ToLower(text)}
	if u, err := url.Parse(s.text); err == nil && u.Scheme != "" && u.Host != "" {
		s.text = u.Hostname()
	}
	if word, rest, ok := strings.Cut(s.text, "/"); ok && rest != "" {
		if kind, known := weir.KindByWord(word); known {
			s.text, s.kind = rest, kind.Name
		}
	}
	if a, err := netip.ParseAddr(strings.Trim(s.text, "[]")); err == nil {
		s.address, s.text = a.Unmap(), a.Unmap().String()
	} else if at, err := netip.ParseAddrPort(s.text); err == nil {
		s.address, s.text = at.Addr().Unmap(), at.Addr().Unmap().String()
	} else if n, err := netip.ParsePrefix(s.text); err == nil {
		s.network, s.text = n.Masked(), n.Masked().String()
	}
	s.plain = strings.ReplaceAll(s.text, ":", "")
	return s
}

// rank says how well what an object is found by matches.
func (s *seeker) rank(h handle) int {
	text := s.text
	switch h.name {
	case "port":
		if text == h.text {
			return matchExact
		}
		return noMatch
	case "fingerprint", "serial":
		text = s.plain
	case "hostname":
		if tail, wild := strings.CutPrefix(h.text, "*"); wild && len(text) > len(tail) && strings.HasSuffix(text, tail) {
			return matchWord
		}
	case "address":
		if s.network.IsValid() {
			if a, err := netip.ParseAddr(h.text); err == nil && s.network.Contains(a) {
				return matchWord
			}
			return noMatch
		}
	}
	i := strings.Index(h.text, text)
	switch {
	case i < 0:
		return noMatch
	case len(text) == len(h.text):
		return matchExact
	case s.address.IsValid():
		return noMatch // 10.0.0.1 is not 10.0.0.10
	case i == 0:
		return matchPrefix
	}
	// A word begins behind anything but a letter or digit.
	for ; i >= 0; i = next(h.text, text, i) {
		if r, _ := utf8.DecodeLastRuneInString(h.text[:i]); !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return matchWord
		}
	}
	return matchInside
}

// next gives the next place of a text after one, -1 when there is none.
func next(in, text string, after int) int {
	i := strings.Index(in[after+1:], text)
	if i < 0 {
		return -1
	}
	return after + 1 + i
}

// within gives a network of an object that holds the address that is looked for.
func (s *seeker) within(o *weir.Object) (string, bool) {
	var networks []netip.Prefix
	switch spec := o.Spec.(type) {
	case *weir.AccessList:
		networks = spec.Networks
	case *weir.LoadBalancerGroup:
		networks = spec.Ranges
	}
	for _, n := range networks {
		if s.address.IsValid() && n.Contains(s.address) || s.network.IsValid() && n == s.network {
			return n.String(), true
		}
	}
	return "", false
}
