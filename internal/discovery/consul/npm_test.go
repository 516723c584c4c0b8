package consul

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// HashiCorp's own double gives what Consul's fields look like, at random. It lets no question hang, and moves the index
// with each: that must not become a storm.
func TestHashiCorpsDouble(t *testing.T) {
	t.Parallel()
	modules := filepath.Join(weirtest.Root(t), ".tools", "consul", "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("find HashiCorp's double of Consul: %v; run scripts/consul.sh to get it", err)
	}
	address := weirtest.Addr(t)
	process := weirtest.CommandFunc(t, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "CONSUL_LATENCY=0", "CONSUL_NODE_COUNT=40", "CONSUL_CHECK_COUNT=6")
	}, "node", "testdata/serve.js", address, "8500")
	eventually(t, func() error { return expect(strings.Contains(process.Output(), "ready"), "it does not listen") })

	b := watchIt(t, Config{Address: "http://" + address + ":8500", Services: []string{"web"}, Namespace: "team-a", Datacenter: "dc1"})
	if got := b.next(); !strings.HasPrefix(got, "part web: node-0/web-with-id ") {
		t.Fatalf("told %q", got)
	}
	found := b.found
	if len(found) != 40 {
		t.Errorf("%d instances, want 40", len(found))
	}
	for _, f := range found {
		// The double's first two checks of each are always critical.
		if f.State != discovery.NotReady || f.Fields["health"] != "critical" || f.Fields["service"] != "web" || f.Fields["namespace"] != "team-a" ||
			f.Fields["datacenter"] != "dc1" || f.Fields["address"] == "" || f.Fields["address"] == f.Fields["nodeAddress"] ||
			f.ID != f.Fields["node"]+"/"+f.Fields["id"] || f.Fields["tagged.lan"] != "" {
			t.Errorf("%s %s: %s", f.ID, f.State, fieldsOf(f))
		}
	}
	b.want("whole: web")
	if p := b.pause(); p.d != 100*time.Millisecond {
		t.Errorf("a pause of %s", p.d)
	}
	if n := strings.Count(process.Output(), "GET: /v1/health/service/web?"); n > 12 {
		t.Errorf("asked %d times without a pause", n)
	}

	// What it does not have it says so.
	b = watchIt(t, Config{Address: "http://" + address + ":8500", Tags: []string{"edge"}})
	b.failed("HTTP 404: ", "look whether the address is that of Consul's HTTP API")
}
