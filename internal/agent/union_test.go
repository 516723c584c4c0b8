package agent

import (
	"reflect"
	"testing"

	"weir/internal/haproxy"
)

func TestUnion(t *testing.T) {
	t.Parallel()
	server := func(name string, weight int) haproxy.Server { return haproxy.Server{Name: name, Weight: weight} }
	a := haproxy.Config{
		Sections: []haproxy.Section{{Kind: "global"}},
		Backends: []haproxy.Backend{{Name: "b", Profile: "p", Servers: []haproxy.Server{server("s", 1)}}, {Name: "c"}},
		Maps:     []haproxy.Map{{Path: "m", Entries: []haproxy.Entry{{Key: "k"}}}},
		Certs:    []haproxy.Cert{{Path: "x", Digest: "1"}},
	}
	b := haproxy.Config{
		Backends: []haproxy.Backend{{Name: "a"}, {Name: "b", Profile: "q", Servers: []haproxy.Server{server("r", 2), server("s", 2)}}},
		Maps:     []haproxy.Map{{Path: "l", Ordered: true}, {Path: "m"}},
		CrtLists: []haproxy.CrtList{{Path: "list"}},
		Certs:    []haproxy.Cert{{Path: "w"}, {Path: "x", Digest: "2"}},
	}
	want := haproxy.Config{
		Sections: a.Sections,
		Backends: []haproxy.Backend{{Name: "a"}, {Name: "b", Profile: "p", Servers: []haproxy.Server{server("r", 2), server("s", 1)}}, {Name: "c"}},
		Maps:     []haproxy.Map{{Path: "l", Ordered: true}, a.Maps[0]},
		CrtLists: b.CrtLists,
		Certs:    []haproxy.Cert{{Path: "w"}, a.Certs[0]},
	}
	before := a.Backends[0].Servers[0]
	if got := union(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if a.Backends[0].Servers[0] != before || len(a.Backends[0].Servers) != 1 || len(a.Backends) != 2 {
		t.Errorf("what was given has changed: %+v", a)
	}
}
