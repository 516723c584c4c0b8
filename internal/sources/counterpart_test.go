package sources

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"weir"
	"weir/internal/weirtest"
)

// TestZooKeeper: servers come and go with ephemeral nodes of the real one; while it is away nothing changes, and
// afterwards what has happened meanwhile is so.
func TestZooKeeper(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	connect := func() *zk.Conn {
		conn, events, err := zk.Connect([]string{z.Addr}, time.Minute, zk.WithLogInfo(false))
		if err != nil {
			t.Fatal(err)
		}
		limit := time.After(patience)
		for {
			select {
			case e := <-events:
				if e.State == zk.StateHasSession {
					return conn
				}
			case <-limit:
				t.Fatal("no session with ZooKeeper")
			}
		}
	}
	announce := func(conn *zk.Conn, n int) {
		data := fmt.Sprintf(`{"serviceEndpoint":{"host":"10.0.0.%d","port":80},"status":"ALIVE","shard":%d}`, n, n)
		if _, err := conn.Create(fmt.Sprintf("/web/member_%d", n), []byte(data), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	first := connect()
	if _, err := first.Create("/web", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		announce(first, n+1)
	}
	b := newBed(t)
	b.apply("{kind: DiscoverySource, metadata: {name: zk}, spec: {zookeeper: {servers: [\"" + z.Addr + "\"], path: /web, session: 4s}, role: web, server: {name: \"web-${shard}\", zone: az1, ports: {http: \"${port}\"}}}}")
	b.run()
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2", "web-3=10.0.0.3", "web-4=10.0.0.4")
	if err := first.Delete("/web/member_4", -1); err != nil {
		t.Fatal(err)
	}
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2", "web-3=10.0.0.3")
	z.Stop()
	b.says("zk", func(s weir.SourceStatus) bool { return s.Error != "" })
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2", "web-3=10.0.0.3")
	z.Start()
	second := connect()
	t.Cleanup(second.Close)
	announce(second, 5)
	b.has("web-1=10.0.0.1", "web-2=10.0.0.2", "web-3=10.0.0.3", "web-5=10.0.0.5")
	b.says("zk", func(s weir.SourceStatus) bool { return s.Error == "" })
	// Who announced the first dies, and its nodes with it: all but one at once is more than is believed.
	first.Close()
	s := b.says("zk", func(s weir.SourceStatus) bool { return s.Doubt != nil && s.Doubt.Servers == 3 })
	b.confirm("zk", s.Doubt.Number)
	b.has("web-5=10.0.0.5")
}

// consulDouble answers blocking queries for one service.
type consulDouble struct {
	mu      sync.Mutex
	index   uint64
	list    map[string]string // status by ID
	changed chan struct{}
	down    bool
}

func (d *consulDouble) set(index uint64, down bool, list map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.index, d.list, d.down = index, list, down
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *consulDouble) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	if !d.down && r.FormValue("index") == strconv.FormatUint(d.index, 10) {
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	if d.down {
		http.Error(rw, "No cluster leader", http.StatusInternalServerError)
		return
	}
	list := []map[string]any{}
	for id, status := range d.list {
		list = append(list, map[string]any{
			"Node":    map[string]any{"Node": "n1", "Address": "10.0.0." + id, "Datacenter": "dc1"},
			"Service": map[string]any{"ID": id, "Service": "web", "Port": 8080},
			"Checks":  []map[string]any{{"CheckID": "a", "Status": status}},
		})
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("X-Consul-Index", strconv.FormatUint(d.index, 10))
	_ = json.NewEncoder(rw).Encode(list)
}

// TestConsul: an instance that is critical is withdrawn and comes back; one that has lost its memory, with an index from
// the beginning, changes nothing before it is confirmed.
func TestConsul(t *testing.T) {
	t.Parallel()
	d := &consulDouble{changed: make(chan struct{})}
	all := map[string]string{"1": "passing", "2": "passing", "3": "passing", "4": "warning"}
	d.set(100, false, all)
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	b := newBed(t)
	b.apply("{kind: DiscoverySource, metadata: {name: consul}, spec: {consul: {address: \"" + srv.URL + "\", services: [web]}, role: web, server: {zone: az1}}}")
	b.run()
	healthy := []string{"n1-1=10.0.0.1", "n1-2=10.0.0.2", "n1-3=10.0.0.3", "n1-4=10.0.0.4"}
	b.has(healthy...)
	d.set(101, false, map[string]string{"1": "critical", "2": "passing", "3": "passing", "4": "warning"})
	b.has("n1-1=10.0.0.1 withdrawn", healthy[1], healthy[2], healthy[3])
	d.set(102, false, all)
	b.has(healthy...)
	d.set(102, true, nil)
	b.says("consul", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "No cluster leader") })
	d.set(3, false, map[string]string{}) // restarted, without what it knew
	s := b.says("consul", func(s weir.SourceStatus) bool { return s.Error == "" && s.Doubt != nil })
	if s.Doubt.Servers != 4 {
		t.Errorf("it doubts %+v", s.Doubt)
	}
	b.has(healthy...)
	d.set(9, false, all)
	b.says("consul", func(s weir.SourceStatus) bool { return s.Doubt == nil && s.Healthy == 4 })
	b.has(healthy...)
}
