package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"weir"
	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// teller keeps which fields a driver tells.
type teller struct {
	mu     sync.Mutex
	fields map[string]bool
	err    error
}

// Part, Whole, Alive and Failed make it a discovery.Sink.
func (k *teller) Part(_ string, found []discovery.Found) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range found {
		for name := range f.Fields {
			k.fields[name] = true
		}
	}
}
func (k *teller) Whole([]string) {}
func (k *teller) Alive()         {}
func (k *teller) Failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// listed is the entry of a driver's list that a field falls under, "" for none.
func listed(list []string, field string) string {
	if slices.Contains(list, field) {
		return field
	}
	for _, entry := range list {
		if prefix, open := strings.CutSuffix(entry, "*"); open && prefix != "" && strings.HasPrefix(field, prefix) && field != prefix {
			return entry
		}
	}
	if slices.Contains(list, "*") {
		return "*"
	}
	return ""
}

// TestFieldsAreThoseThatDriversTell: what templates may name of a source is what its driver tells of an instance of which
// everything is known, no less and no more.
func TestFieldsAreThoseThatDriversTell(t *testing.T) {
	t.Parallel()
	consul := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("index") != "" {
			<-r.Context().Done()
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("X-Consul-Index", "7")
		fmt.Fprint(rw, `[{"Node": {"Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", "Partition": "p", "Meta": {"rack": "r1"}},
"Service": {"ID": "web-1", "Service": "web", "Address": "10.0.0.2", "Port": 80, "Namespace": "n", "Tags": ["a"], "Meta": {"version": "1"},
"Weights": {"Passing": 1, "Warning": 1}, "TaggedAddresses": {"wan": {"Address": "192.0.2.1", "Port": 80}}}, "Checks": [{"CheckID": "c", "Status": "passing"}]}]`)
	}))
	t.Cleanup(consul.Close)
	t.Cleanup(consul.CloseClientConnections)
	list := `[{"targets": ["10.0.0.1:80"], "labels": {"zone": "az1"}}]`
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, list)
	}))
	t.Cleanup(page.Close)
	kube := weirtest.NewKubernetes()
	pod, node := weirtest.Pod("web-1", "10.0.0.1", "az1", ""), "n1"
	pod.Hostname, pod.NodeName, pod.Hints = "web-1", &node, &weirtest.EndpointHints{ForZones: []map[string]string{{"name": "az1"}}}
	kube.Put(weirtest.Slice("web-a", "web", 80, pod))
	kubeServer := httptest.NewServer(kube)
	t.Cleanup(kubeServer.Close)
	t.Cleanup(kubeServer.CloseClientConnections)
	names := weirtest.StartKnot(t, weirtest.KnotZone{Name: "example.test.", Records: []string{"a A 192.0.2.11", "_http._tcp SRV 1 5 8081 a"}})
	keeper := weirtest.StartZooKeeper(t)
	conn, _, err := zk.Connect([]string{keeper.Addr}, patience, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for _, node := range []struct{ path, data string }{
		{"/web", ""},
		{"/web/a", `{"serviceEndpoint": {"host": "a.example.com", "port": 80}, "additionalEndpoints": {"admin": {"host": "10.0.0.1", "port": 81}}, "status": "ALIVE", "shard": 1}`},
	} {
		weirtest.Eventually(t, patience, func() error {
			_, err := conn.Create(node.path, []byte(node.data), 0, zk.WorldACL(zk.PermAll))
			if errors.Is(err, zk.ErrNodeExists) {
				return nil // by a try whose answer was lost
			}
			return err
		})
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "web.json"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	here, err := ParseDestinations([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	reach := Reach{Destinations: here, Files: root}
	for driver, spec := range map[string]weir.DiscoverySource{
		"consul":     {Consul: &weir.ConsulSource{Address: consul.URL, Services: []string{"web"}}},
		"zookeeper":  {ZooKeeper: &weir.ZooKeeperSource{Servers: []string{keeper.Addr}, Path: "/web"}},
		"dns":        {DNS: &weir.DNSSource{Names: []string{"a.example.test"}, Servers: []string{names.Addr}}},
		"dns srv":    {DNS: &weir.DNSSource{Names: []string{"_http._tcp.example.test"}, SRV: true, Servers: []string{names.Addr}}},
		"kubernetes": {Kubernetes: &weir.KubernetesSource{Server: kubeServer.URL}},
		"file":       {File: &weir.FileSource{Path: "web.json"}},
		"url":        {URL: &weir.URLSource{URL: page.URL}},
	} {
		spec.Normalize()
		source, err := reach.driver(&spec, given{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(driver, err)
		}
		told, want := &teller{fields: map[string]bool{}}, weir.SourceFields(driver)
		if len(want) == 0 {
			t.Errorf("no fields are listed of %s", driver)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { source.Watch(ctx, told) })
		weirtest.Eventually(t, patience, func() error {
			told.mu.Lock()
			defer told.mu.Unlock()
			left := slices.Clone(want)
			for field := range told.fields {
				entry := listed(want, field)
				if entry == "" {
					t.Fatalf("%s tells %q, which is not listed", driver, field)
				}
				left = slices.DeleteFunc(left, func(f string) bool { return f == entry })
			}
			if len(left) > 0 {
				return fmt.Errorf("%s is said to tell %q, and does not: %v", driver, left, told.err)
			}
			return nil
		})
		cancel()
		watching.Wait()
	}
}
