package main

import (
	"testing"
	"time"

	"weir"
	"weir/internal/api"
)

func TestRegistrationsInCells(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 3, 0, 0, time.UTC)
	for _, tt := range []struct {
		said *weir.Registration
		text string
		tone tone
	}{
		{nil, "", plain},
		{&weir.Registration{State: "healthy", Since: now.Add(-3 * time.Minute), Reason: "all is well"}, "healthy 3m", good},
		{&weir.Registration{State: "draining", Since: now.Add(-3 * time.Second)}, "draining 3s", warning},
		{&weir.Registration{State: "withdrawn", Since: now.Add(-3 * time.Minute), Reason: "GET /ping: 503"}, "withdrawn 3m: GET /ping: 503", bad},
		{&weir.Registration{State: "stale", Since: now.Add(-3 * time.Hour)}, "stale 3h", bad},
	} {
		if got := registeredCell(tt.said, now); got.text != tt.text || got.tone != tt.tone {
			t.Errorf("%+v: %q of tone %v", tt.said, got.text, got.tone)
		}
	}
	for _, tt := range []struct {
		status, reason string
		ready, of      int
		text           string
		tone           tone
	}{
		{"True", "Registered", 5, 5, "5/5", good},
		{"True", "Withdrawn", 4, 5, "4/5 withdrawn", good},
		{"False", "Waiting", 4, 5, "4/5 waiting", warning},
		{"False", "Held", 5, 5, "5/5 held", warning},
		{"True", "Draining", 0, 2, "0/2 draining", bad},
		{"Unknown", "NotInUse", 0, 0, "unused", faint},
	} {
		o := &object{Object: weir.Object{Status: &weir.Status{Conditions: []weir.Condition{{Type: weir.Admitted, Status: tt.status, Reason: tt.reason, Ready: tt.ready, Of: tt.of}}}}}
		if got := admitted(o); got.text != tt.text || got.tone != tt.tone {
			t.Errorf("%+v: %q of tone %v", tt, got.text, got.tone)
		}
	}
	if got := admitted(&object{}); got.text != "" {
		t.Errorf("without the condition: %q", got.text)
	}
}

func TestServersInStatus(t *testing.T) {
	t.Parallel()
	s := &screen{}
	if got := serversText(s, nil); got != "" {
		t.Errorf("none: %q", got)
	}
	got := serversText(s, &api.RegisteredServers{Healthy: 115, Withdrawn: 2, Stale: 3, Unregistered: 1})
	if want := "servers registered: 115 healthy, 2 withdrawn, 3 stale, 1 without a registration"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestServingOfWhatNothingUses: nobody can tell of it, and nobody has to look.
func TestServingOfWhatNothingUses(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]cell{"NotInUse": {"unused", faint}, "NoneActive": {"unknown", warning}} {
		o := &object{Object: weir.Object{Status: &weir.Status{Conditions: []weir.Condition{
			{Type: weir.Programmed, Status: "Unknown", Reason: reason}, {Type: weir.Serving, Status: "Unknown", Reason: "NotSeen"},
		}}}}
		if got := serving(o); got != want {
			t.Errorf("%s: %+v, want %+v", reason, got, want)
		}
	}
}
