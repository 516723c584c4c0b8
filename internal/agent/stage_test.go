package agent

import (
	"testing"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

// TestNewlyShown: HAProxy is asked about the certificates that a plan is about, those of no list, and nothing else.
func TestNewlyShown(t *testing.T) {
	t.Parallel()
	want := haproxy.Config{
		Certs: []haproxy.Cert{{Path: "certs/ca.ca.pem", Authority: true}, {Path: "certs/client.pem"}, {Path: "certs/new.pem"}, {Path: "certs/old.pem"}},
		CrtLists: []haproxy.CrtList{{Path: "certs/port-443.list", Entries: []haproxy.CrtEntry{
			{File: "certs/new.pem"}, {File: "certs/old.pem"}, {File: haproxy.PlaceholderCert},
		}}},
	}
	got := newlyShown(want, []plan.Op{{Kind: plan.SetCert, Path: "certs/new.pem"}})
	if e := got.CrtLists[0].Entries; len(e) != 2 || e[0].File != "certs/new.pem" || e[1].File != haproxy.PlaceholderCert {
		t.Errorf("lines %+v", e)
	}
	if len(got.Certs) != 3 || got.Certs[2].Path != "certs/new.pem" {
		t.Errorf("certificates %+v", got.Certs)
	}
	if len(want.Certs) != 4 || len(want.CrtLists[0].Entries) != 3 {
		t.Error("the configuration that is wanted has changed")
	}
}
