package weirtest

import (
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// EndpointSlice is an object as an API server writes it, and what is in it.
type (
	EndpointSlice struct {
		Kind        string         `json:"kind,omitempty"` // not in lists
		APIVersion  string         `json:"apiVersion,omitempty"`
		Metadata    ObjectMeta     `json:"metadata"`
		AddressType string         `json:"addressType"`
		Endpoints   []Endpoint     `json:"endpoints"`
		Ports       []EndpointPort `json:"ports"`
	}
	ObjectMeta struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels,omitempty"`
	}
	Endpoint struct {
		Addresses  []string        `json:"addresses"`
		Conditions map[string]bool `json:"conditions"`
		Hostname   string          `json:"hostname,omitempty"`
		TargetRef  *ObjectRef      `json:"targetRef,omitempty"`
		NodeName   *string         `json:"nodeName"`
		Zone       string          `json:"zone,omitempty"`
		Hints      *EndpointHints  `json:"hints,omitempty"`
	}
	ObjectRef     struct{ Kind, Namespace, Name, UID string }
	EndpointHints struct {
		ForZones []map[string]string `json:"forZones"`
	}
	EndpointPort struct {
		Name     string `json:"name"`
		Protocol string `json:"protocol,omitempty"`
		Port     *int   `json:"port"`
	}
)

// sliceChange is one write to the double: what an object was and what it is, nil if it was not or is no more.
type sliceChange struct {
	version       int
	before, after *EndpointSlice
}

// Kubernetes answers as an API server does that has EndpointSlices, and refuses whatever one would. Fields that are set while
// it is asked are set within Set.
type Kubernetes struct {
	// Token is the one that is asked for, Verbs are list and watch as far as they are allowed.
	Token string
	Verbs map[string]bool
	// Odd answers in its place, if it says so.
	Odd func(w http.ResponseWriter, r *http.Request) bool
	// GoneAs is the status for a watch of what is forgotten; with 200 it gets an event.
	GoneAs int
	// Expires is how many continue tokens are refused.
	Expires int

	mu        sync.Mutex
	version   int
	compacted int // the newest version that is forgotten
	moments   map[int]map[string]*EndpointSlice
	changes   []sliceChange
	bookmarks []int
	changed   chan struct{} // closed and made anew at each write
	asked     []string      // verb and query of each request
}

// NewKubernetes makes one without objects, which allows everything.
func NewKubernetes() *Kubernetes {
	return &Kubernetes{
		version: 100, compacted: 99, changed: make(chan struct{}), GoneAs: http.StatusOK,
		moments: map[int]map[string]*EndpointSlice{100: {}}, Verbs: map[string]bool{"list": true, "watch": true},
	}
}

// Set changes fields while it is asked.
func (k *Kubernetes) Set(set func(*Kubernetes)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set(k)
}

// write makes s the object of its name, or takes it away.
func (k *Kubernetes) write(s *EndpointSlice, remove bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	present := maps.Clone(k.moments[k.version])
	key := s.Metadata.Namespace + "/" + s.Metadata.Name
	k.version++
	c := sliceChange{version: k.version, before: present[key]}
	copied := *s
	copied.Endpoints, copied.Ports = slices.Clone(s.Endpoints), slices.Clone(s.Ports)
	copied.Metadata.Labels = maps.Clone(s.Metadata.Labels)
	copied.Metadata.ResourceVersion = strconv.Itoa(k.version)
	if remove {
		delete(present, key)
	} else {
		c.after, present[key] = &copied, &copied
	}
	k.moments[k.version] = present
	k.changes = append(k.changes, c)
	k.wake()
}

// Put makes s the object of its name.
func (k *Kubernetes) Put(s *EndpointSlice) { k.write(s, false) }

// Remove takes the object of the name away.
func (k *Kubernetes) Remove(s *EndpointSlice) { k.write(s, true) }

func (k *Kubernetes) wake() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// Compact forgets all but the present.
func (k *Kubernetes) Compact() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for v := range k.moments {
		if v < k.version {
			delete(k.moments, v)
		}
	}
	k.compacted = k.version - 1
}

// Bookmark tells all watches the present version, after some that they don't see.
func (k *Kubernetes) Bookmark() {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := k.moments[k.version]
	k.version += 3 // objects of other kinds
	k.moments[k.version] = last
	k.bookmarks = append(k.bookmarks, k.version)
	k.wake()
}

// Now is all there is.
func (k *Kubernetes) Now() map[string]*EndpointSlice {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.moments[k.version]
}

// Requests is what was asked since the last call.
func (k *Kubernetes) Requests() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := k.asked
	k.asked = nil
	return asked
}

// Serve lets it answer with TLS on 127.0.0.1 until the test ends, with an authority of its own in PEM.
func (k *Kubernetes) Serve(t testing.TB) (server *httptest.Server, authority string) {
	t.Helper()
	server = httptest.NewUnstartedServer(k)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// Pod is an endpoint as the controller of EndpointSlices writes it: ready, "unready", or "terminating" while it still serves.
func Pod(name, address, zone, mode string) Endpoint {
	conditions := map[string]bool{"ready": mode == "", "serving": mode != "unready", "terminating": mode == "terminating"}
	return Endpoint{Addresses: []string{address}, Conditions: conditions, TargetRef: &ObjectRef{Kind: "Pod", Namespace: "shop", Name: name}, Zone: zone}
}

// Slice is one of a service in the namespace shop, whose pods are reached at a port that is called http.
func Slice(name, service string, port int, pods ...Endpoint) *EndpointSlice {
	return &EndpointSlice{
		Metadata:    ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{"kubernetes.io/service-name": service}},
		AddressType: "IPv4", Endpoints: pods, Ports: []EndpointPort{{Name: "http", Protocol: "TCP", Port: &port}},
	}
}
