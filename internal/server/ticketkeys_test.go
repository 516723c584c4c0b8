package server

import (
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/tickets"
)

// TestWhoIsThereForTicketKeys: who is waited for and who is asked, by what was heard last.
func TestWhoIsThereForTicketKeys(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start.Add(time.Hour)
	report := func(age time.Duration, part *link.TicketReport) *link.Reported {
		return &link.Reported{At: now.Add(-age), Report: link.Report{Now: now.Add(-age), Tickets: part}}
	}
	knows := &link.TicketReport{Generation: 7}
	for name, c := range map[string]struct {
		rep           *link.Reported
		every         time.Duration
		started       time.Time
		present, able bool
		silent        bool // since the keys changed, ten seconds ago
		generation    int64
	}{
		"well":                             {rep: report(time.Second, knows), present: true, able: true, generation: 7},
		"silent since the keys changed":    {rep: report(11*time.Second, knows), present: true, able: true, silent: true, generation: 7},
		"silent for a minute":              {rep: report(time.Minute, knows), present: true, silent: true, generation: 7},
		"silent for an hour":               {rep: report(time.Hour, knows), silent: true, generation: 7},
		"silent for longer than keys last": {rep: report(time.Minute, knows), every: time.Second, silent: true, generation: 7},
		"of an older version":              {rep: report(time.Second, nil)},
		"without a folder in memory":       {rep: report(time.Second, &link.TicketReport{Off: "no tmpfs"})},
		"has just failed":                  {rep: report(0, &link.TicketReport{Generation: 7, Failed: now.Add(-time.Second)}), present: true, generation: 7},
		"failed a while ago":               {rep: report(0, &link.TicketReport{Generation: 7, Failed: now.Add(-time.Minute)}), present: true, able: true, generation: 7},
		"never heard":                      {},
		"not heard yet":                    {started: now.Add(-time.Second), present: true},
	} {
		b := newTicketBook(func() time.Time { return start })
		if !c.started.IsZero() {
			b.started = c.started
		}
		every := c.every
		if every == 0 {
			every = 4 * time.Hour
		}
		m := b.member("lb1", c.rep, tickets.Settings{Every: every}, now.Add(-10*time.Second), now)
		if m.Present != c.present || m.Able != c.able || m.Silent != c.silent || m.Generation != c.generation {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestTicketMessages(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	for _, s := range []api.TicketKeysStatus{
		{}, {Of: 2}, {Generation: 7, Has: 2, Of: 2}, {Generation: 7, Has: 1, Of: 2, Laggards: []string{"lb2"}}, {Generation: 7, Has: 2, Of: 2, Renewing: 3},
	} {
		said[ticketMessage(&s)] = true
	}
	if len(said) != 5 || !said["all 2 have generation 7"] {
		t.Errorf("said %v", said)
	}
}
