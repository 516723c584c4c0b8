package weir

import (
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// ListSource is a place whose lines become the entries of an AccessList. The control plane fetches it, from a public
// place or one that its --discovery-destinations list, and never follows where an answer leads. What can't be read, or is
// suddenly less than half, changes nothing: the entries that were fetched last stay.
type ListSource struct {
	// URL is asked with http or https.
	URL string `json:"url"`
	// Holds says what the lines are: networks or strings; networks when left out. The entries of that kind are the
	// control plane's to write from then on.
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
)

func (s *ListSource) normalize() {
	setDefault(&s.Holds, HoldsNetworks)
	setDefault(&s.Interval, Duration(time.Hour))
}

func (s *ListSource) validate(p *Problems, l *AccessList) {
	oneOf(p, "source.holds", s.Holds, HoldsNetworks, HoldsStrings)
	if s.Holds == HoldsStrings && l.Strings == nil {
		p.Add("strings", "is required: match says how the strings of the source are matched")
	}
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

// Fetched gives a list with the entries of its source taken from another, which has them from the same kind of source; ok
// is false when that has none.
func (a *AccessList) Fetched(from *AccessList) (now *AccessList, ok bool) {
	if a.Source == nil || from == nil || from.Source == nil || a.Source.networks() != from.Source.networks() {
		return a, false
	}
	return a.holding(from.Networks, from.Strings), true
}

// Unfetched gives a list without the entries of its source.
func (a *AccessList) Unfetched() *AccessList {
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

// ListStatus is what is so of an AccessList's source besides its conditions, as who fetches it has written it down last.
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
