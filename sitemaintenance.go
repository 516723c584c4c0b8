package weir

import (
	"slices"
	"strconv"
	"time"
)

// SiteMaintenance lets a page stand for the whole site, or for calls to a partner, while it is there; nothing reaches a
// server.
type SiteMaintenance struct {
	// Page names the ErrorPage that is shown; a plain one when left out, of calls a line of text.
	Page string `json:"page,omitempty"`
	// Status is 503 when left out, or 403, 404, 410, 500 or 502.
	Status Status3 `json:"status,omitempty"`
	// RetryAfter is when clients are told to come back, in whole seconds; 5m when left out.
	RetryAfter Duration `json:"retryAfter,omitempty"`
	// Except names an AccessList of clients for whom it goes on, as those who work on it.
	Except string `json:"except,omitempty"`
	// Schedule names a window of time outside of which it is open; it is closed at any time when left out.
	Schedule string `json:"schedule,omitempty"`
}

// MaintenanceStatuses are those that a site in maintenance can answer with.
var MaintenanceStatuses = []Status3{403, 404, 410, 500, 502, 503}

func (m *SiteMaintenance) normalize() {
	if m == nil {
		return
	}
	setDefault(&m.Status, 503)
	setDefault(&m.RetryAfter, Duration(5*time.Minute))
}

func (m *SiteMaintenance) validate(p *Problems, path string) {
	if m == nil {
		return
	}
	if !slices.Contains(MaintenanceStatuses, m.Status) {
		p.Add(path+".status", "%d is none of %v", int(m.Status), MaintenanceStatuses)
	}
	if m.Schedule != "" {
		required(p, path+".schedule", m.Schedule)
	}
	m.RetryAfter.within(p, path+".retryAfter", time.Second, 30*24*time.Hour)
	if m.RetryAfter.D()%time.Second != 0 {
		p.Add(path+".retryAfter", "must be whole seconds")
	}
}

func (m *SiteMaintenance) references(list []Reference, path string) []Reference {
	if m == nil {
		return list
	}
	list = optional(list, path+".page", "ErrorPage", m.Page)
	list = optional(list, path+".except", "AccessList", m.Except)
	return optional(list, path+".schedule", "Schedule", m.Schedule)
}

// Answer is the status and the seconds of Retry-After.
func (m *SiteMaintenance) Answer() (status, retryAfter string) {
	return strconv.Itoa(int(m.Status)), strconv.Itoa(int(m.RetryAfter.D() / time.Second))
}
