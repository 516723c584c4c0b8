package weir

import (
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// ListSource is a place whose lines become the entries of an AccessList or a Map. The control plane fetches it, from a public
// place or one that its --discovery-destinations list, and never follows where an answer leads. What can't be read, or is
// suddenly less than half, changes nothing: the entries that were fetched last stay.
type ListSource struct {
	// URL is asked with http or https.
	URL string `json:"url"`
	// Holds says what the lines are: of an AccessList networks or strings, networks when left out; of a Map entries. Those
	// are the control plane's to write from then on.
	Holds string `json:"holds,omitempty"`
	// Interval is the time between two fetches, 5m to 168h; 1h when left out.
	Interval Duration `json:"interval,omitempty"`
	// Authority names a Certificate that the server's must be signed by; the system's authorities when left out.
	Authority string `json:"authority,omitempty"`
}

// What a ListSource can hold.
const (
	HoldsNetworks = "networks"
	HoldsStrings  = "strings"
	HoldsEntries  = "entries"
)

func (s *ListSource) normalize(holds string) {
	setDefault(&s.Holds, holds)
	setDefault(&s.Interval, Duration(time.Hour))
}

func (s *ListSource) validate(p *Problems, holds ...string) {
	oneOf(p, "source.holds", s.Holds, holds...)
	s.Interval.within(p, "source.interval", 5*time.Minute, 168*time.Hour)
	if s.Authority != "" {
		required(p, "source.authority", s.Authority)
	}
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		p.Add("source.url", "is required")
	case len(s.URL) > 2048:
		p.Add("source.url", "is %d bytes long; at most 2048 are allowed", len(s.URL))
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		p.Add("source.url", "%q is no address that can be fetched, such as https://www.example.com/list.txt", clip(s.URL))
	case u.User != nil:
		p.Add("source.url", "may hold no user or password, which everybody would see who reads the list")
	case u.Fragment != "":
		p.Add("source.url", "must not have a part after #")
	}
}

func (s *ListSource) networks() bool { return s.Holds == HoldsNetworks || s.Holds == "" }

func (s *ListSource) references() []Reference {
	if s == nil {
		return nil
	}
	return optional(nil, "source.authority", "Certificate", s.Authority)
}

// Sourced are the specs whose entries can come from a source: AccessList and Map.
type Sourced interface {
	Spec
	// From gives the source, nil for none.
	From() *ListSource
	// Held counts the entries that are the source's.
	Held() int
	// Read gives the spec with the entries that the source's lines are. Problems name the lines.
	Read(lines []byte) (Sourced, []Problem)
	// Fetched gives the spec with the entries of its source taken from another, which has them from the same kind of
	// source; ok is false when that has none.
	Fetched(from Spec) (now Sourced, ok bool)
	// Unfetched gives the spec without the entries of its source.
	Unfetched() Sourced
}

// From gives the source, nil for none.
func (a *AccessList) From() *ListSource { return a.Source }

// Held counts the entries that are the source's.
func (a *AccessList) Held() int {
	switch {
	case a.Source == nil:
		return 0
	case a.Source.networks():
		return len(a.Networks)
	case a.Strings != nil:
		return len(a.Strings.Entries)
	}
	return 0
}

// Read gives the list with the entries that the source's lines are. Problems name the lines.
func (a *AccessList) Read(lines []byte) (Sourced, []Problem) {
	if a.Source.networks() {
		networks, problems := ReadNetworks("", lines)
		return a.holding(networks, nil), problems
	}
	entries, problems := ReadStrings("", lines)
	return a.holding(nil, &ListStrings{Entries: entries}), problems
}

// Fetched gives a list with the entries of its source taken from another, which has them from the same kind of source; ok
// is false when that has none.
func (a *AccessList) Fetched(from Spec) (now Sourced, ok bool) {
	f, ok := from.(*AccessList)
	if !ok || a.Source == nil || f.Source == nil || a.Source.networks() != f.Source.networks() {
		return a, false
	}
	return a.holding(f.Networks, f.Strings), true
}

// Unfetched gives a list without the entries of its source.
func (a *AccessList) Unfetched() Sourced {
	if a.Source == nil {
		return a
	}
	return a.holding(nil, &ListStrings{})
}

// holding gives a list with what its source holds taken from elsewhere.
func (a *AccessList) holding(networks []netip.Prefix, strings *ListStrings) *AccessList {
	now := *a
	switch {
	case a.Source.networks():
		now.Networks = slices.Clone(networks)
	case a.Strings != nil && strings != nil:
		s := *a.Strings
		s.Entries = slices.Clone(strings.Entries)
		now.Strings = &s
	}
	return &now
}

// ListStatus is what is so of the source of an AccessList or a Map besides its conditions, as who fetches it has written it down last.
type ListStatus struct {
	// URL is what was asked; TriedAt when that was last, FetchedAt when it gave Entries that are believed.
	URL       string    `json:"url"`
	TriedAt   time.Time `json:"triedAt,omitzero"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
	Entries   int       `json:"entries"`
	// Error is why nothing can be had, since FailedAt; the entries that were fetched before stand.
	Error    string    `json:"error,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	// Fewer is how many entries the place has since FewerSince, which are too few to be believed before FewerUntil.
	Fewer      int       `json:"fewer,omitempty"`
	FewerSince time.Time `json:"fewerSince,omitzero"`
	FewerUntil time.Time `json:"fewerUntil,omitzero"`
}
