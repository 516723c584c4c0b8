package sources

import (
	"strings"
	"testing"

	"weir"
)

// TestFileBecomesServers: servers come and go with a file's list; what empties it changes nothing until a person says so.
func TestFileBecomesServers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.list("web.json", "10.0.0.1", "10.0.0.2", "10.0.0.3")
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2", "10-0-0-3=10.0.0.3")
	o := b.store.View().Get(weir.Ref{Kind: "Server", Name: "10-0-0-1"})
	spec := o.Spec.(*weir.Server)
	if o.Metadata.Role != "web" || o.Metadata.ManagedBy != "discovery/web" || spec.Zone != "az1" || spec.Ports["http"] != 80 || *spec.Weight != 100 || spec.Registration.By != "discovery/web" {
		t.Errorf("it is written as %+v %+v", o.Metadata, spec)
	}
	b.list("web.json", "10.0.0.1", "10.0.0.2", "10.0.0.4")
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2", "10-0-0-4=10.0.0.4")
	b.write("web.json", "[]")
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Doubt != nil })
	if s.Doubt.Servers != 3 || !strings.Contains(s.Doubt.Why, "all 3 servers") || len(s.Doubt.Names) != 3 || s.Servers != 3 || s.Healthy != 3 || s.Found != 0 {
		t.Errorf("the status is %+v, doubt %+v", s, s.Doubt)
	}
	if n := len(b.servers()); n != 3 {
		t.Fatalf("%d servers are left while nobody has confirmed that", n)
	}
	b.confirm("web", s.Doubt.Number)
	b.has()
	s = b.says("web", func(s weir.SourceStatus) bool { return s.Doubt == nil && s.Servers == 0 })
	if s.Change != "3 went: confirmed by ann: moved" {
		t.Errorf("the last change is %q", s.Change)
	}
}
