package accesslog

import (
	"bytes"
	"net/netip"
	"time"
)

// Filter chooses entries; its zero value chooses all.
type Filter struct {
	Site string // "" for any
	// Mark may stand in front of the site's name in a line.
	Mark   string
	Pool   string // "" for any
	Zone   string // "" for any
	Status int    // a status, 1 to 5 for a status class, 0 for any
	Method string // "" for any
	// Path is what the path begins with.
	Path string
	// Client is the network of the client; the zero value is any.
	Client netip.Prefix
	// Errors chooses answers of class 5xx and what did not end as it should, whoever caused that.
	Errors bool
	// Since leaves out what was accepted before.
	Since time.Time
	// Place says which pool a backend is, and its zone when the line names none; nil for the backend's own name.
	Place func(backend, zone string) (pool, inZone string)
}

func (f *Filter) takes(l *Line) bool {
	switch {
	case f.Site != "" && !f.isSite(l.Site):
		return false
	case f.Status > 0 && f.Status < classes && classOf(l.Status) != f.Status, f.Status >= classes && l.Status != f.Status:
		return false
	case f.Method != "" && string(l.Method) != f.Method, !bytes.HasPrefix(l.Path, []byte(f.Path)):
		return false
	case f.Errors && classOf(l.Status) != classes-1 && blame(l.Termination) == causeNone:
		return false
	case !f.Since.IsZero() && l.AcceptedMS < f.Since.UnixMilli():
		return false
	}
	return f.takesClient(l) && f.takesPlace(l)
}

func (f *Filter) isSite(site []byte) bool {
	if string(site) == f.Site {
		return true
	}
	rest, marked := bytes.CutPrefix(site, []byte(f.Mark))
	return marked && string(rest) == f.Site
}

func (f *Filter) takesClient(l *Line) bool {
	if !f.Client.IsValid() {
		return true
	}
	client, err := netip.ParseAddr(string(l.Client))
	return err == nil && f.Client.Contains(client.Unmap())
}

func (f *Filter) takesPlace(l *Line) bool {
	if f.Pool == "" && f.Zone == "" {
		return true
	}
	pool, zone := f.place(l)
	return (f.Pool == "" || pool == f.Pool) && (f.Zone == "" || zone == f.Zone)
}

// place gives where a line says that it went.
func (f *Filter) place(l *Line) (pool, zone string) {
	pool, zone = string(l.pool()), string(l.Zone)
	if f.Place != nil {
		return f.Place(pool, zone)
	}
	return pool, zone
}

// entry is what people read of a line.
func (f *Filter) entry(l *Line) Entry {
	e := l.entry()
	e.Pool, e.Zone = f.place(l)
	if rest, marked := bytes.CutPrefix(l.Site, []byte(f.Mark)); marked {
		e.Site = string(rest)
	}
	return e
}
