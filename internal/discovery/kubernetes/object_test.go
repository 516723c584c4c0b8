package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]discovery.State{
		`{}`:                                                 discovery.Ready,
		`{"ready":null}`:                                     discovery.Ready,
		`{"ready":true}`:                                     discovery.Ready,
		`{"ready":false}`:                                    discovery.NotReady,
		`{"serving":false}`:                                  discovery.NotReady,
		`{"ready":true,"serving":true}`:                      discovery.Ready,
		`{"ready":false,"serving":true}`:                     discovery.NotReady,
		`{"ready":false,"terminating":true}`:                 discovery.NotReady,
		`{"serving":true,"terminating":true}`:                discovery.Draining,
		`{"serving":false,"terminating":true}`:               discovery.NotReady,
		`{"terminating":true}`:                               discovery.Draining,
		`{"ready":false,"serving":true,"terminating":true}`:  discovery.Draining,
		`{"ready":false,"serving":false,"terminating":true}`: discovery.NotReady,
		`{"ready":true,"serving":true,"terminating":true}`:   discovery.Ready, // publishNotReadyAddresses
		`{"ready":true,"serving":false,"terminating":true}`:  discovery.Ready,
		`{"ready":true,"serving":false,"terminating":false}`: discovery.Ready,
	} {
		var c conditions
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.state() != want {
			t.Errorf("%s: %s, want %s (%v)", text, c.state(), want, err)
		}
	}
}

// sample is a slice as a cluster shows it, with what is not of interest.
const sample = `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"web-x7k2p","generateName":"web-",
"namespace":"shop","uid":"5f1c","resourceVersion":"%d","generation":3,"labels":{"app":"web","kubernetes.io/service-name":"%s",
"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"},"ownerReferences":[{"kind":"Service","name":"web"}]},
"addressType":"%s","endpoints":[{"addresses":["%s"],"conditions":{"ready":true,"serving":true,"terminating":false},
"targetRef":{"kind":"Pod","namespace":"shop","name":"web-7f9c","uid":"aa"},"nodeName":"node-3","zone":"az1",
"hints":{"forZones":[{"name":"az1"},{"name":"az2"}]}}],"ports":[{"name":"http","port":8080,"protocol":"TCP"},
{"name":"admin","port":9000,"protocol":"TCP"},{"name":"dns","port":53,"protocol":"UDP"},{"name":"all"}]}`

func parsed(t *testing.T, text string) *slice {
	t.Helper()
	var o endpointSlice
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	s, err := o.parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFields(t *testing.T) {
	t.Parallel()
	full := map[string]string{
		"name": "web-7f9c", "address": "10.1.2.3", "port.http": "8080", "port.admin": "9000", "namespace": "shop",
		"service": "web", "kind": "Pod", "node": "node-3", "zone": "az1", "hints": "az1,az2",
	}
	slim := func(ports, endpoint string) string {
		return `{"metadata":{"name":"a","namespace":"shop","resourceVersion":"1","labels":{"kubernetes.io/service-name":"web"}},
			"addressType":"IPv4","ports":` + ports + `,"endpoints":[` + endpoint + `]}`
	}
	for name, c := range map[string]struct {
		text, id string
		fields   map[string]string
	}{
		"all there is": {fmt.Sprintf(sample, 1, "web", IPv4, "10.1.2.3"), "web-7f9c", full},
		"an address only": {
			slim("null", `{"addresses":["10.1.2.3","10.1.2.4"]}`), "10.1.2.3",
			map[string]string{"name": "10.1.2.3", "address": "10.1.2.3", "namespace": "shop", "service": "web"},
		},
		"a host name, one port": {
			slim(`[{"port":80,"name":""}]`, `{"addresses":["10.1.2.3"],"hostname":"web-0","nodeName":null,"targetRef":null,"hints":null}`), "10.1.2.3",
			map[string]string{"name": "web-0", "hostname": "web-0", "address": "10.1.2.3", "namespace": "shop", "service": "web", "port": "80"},
		},
		"a virtual machine, one named port": {
			slim(`[{"port":80,"name":"http"}]`, `{"addresses":["10.1.2.3"],"targetRef":{"kind":"VM","name":"web-0"}}`), "VM:web-0",
			map[string]string{"name": "web-0", "kind": "VM", "address": "10.1.2.3", "namespace": "shop", "service": "web", "port": "80", "port.http": "80"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := parsed(t, c.text)
			f := s.endpoints[0].found(s.part())
			if f.ID != c.id || !reflect.DeepEqual(f.Fields, c.fields) || s.left != "" {
				t.Errorf("%s %v %s", f.ID, f.Fields, s.left)
			}
		})
	}
}

// TestLeftOut is of what is bad in a good list: it is left out, said, and the rest stands.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	endpoints := `{"addresses":["10.0.0.1"]},`
	for text, want := range map[string]string{
		`{"addresses":[]}`:                        "endpoint 2: it has no address",
		`{"addresses":["web.example"]}`:           `"web.example" is no IPv4 address`,
		`{"addresses":["fd00::1"]}`:               `"fd00::1" is no IPv4 address`,
		`{"addresses":["0.0.0.0"]}`:               "is no IPv4 address",
		`{"addresses":["224.0.0.1"]}`:             "is no IPv4 address",
		`{"addresses":["::ffff:10.0.0.1"]}`:       "is no IPv4 address",
		`{"addresses":["10.0.0.1"]}`:              "10.0.0.1 is in it twice",
		`{"addresses":["10.0.0.2"],"zone":"a b"}`: `"a b" is no name`,
		`{"addresses":["10.0.0.2"],"targetRef":{"kind":"Pod","name":"x\nbackend y"}}`:        `"x\nbackend y" is no name`,
		`{"addresses":["10.0.0.2"],"hints":{"forZones":[{"name":"a,b"}]}}`:                   `"a,b" is no name of a zone`,
		`{"addresses":["10.0.0.2"],"targetRef":{"name":"` + strings.Repeat("n", 254) + `"}}`: "is no name",
		`{"addresses":[]},{"addresses":[]},{"addresses":[]}`:                                 "it has no address, and 2 others",
	} {
		s := parsed(t, `{"metadata":{"name":"a","namespace":"shop","resourceVersion":"1","labels":{"kubernetes.io/service-name":"web"}},
			"addressType":"IPv4","endpoints":[`+endpoints+text+`]}`)
		if len(s.endpoints) != 1 || !strings.Contains(s.left, want) {
			t.Errorf("%s: %d endpoints, left out %s", text, len(s.endpoints), s.left)
		}
	}
	for text, want := range map[string]string{
		fmt.Sprintf(sample, 1, "web", "FQDN", "web.example"):                                       `its addresses are of type "FQDN"`,
		fmt.Sprintf(sample, 1, "", IPv4, "10.0.0.1"):                                               "it has no label kubernetes.io/service-name",
		strings.Replace(fmt.Sprintf(sample, 1, "web", IPv4, "10.0.0.1"), "8080", "80800", 1):       "port 80800 cannot be",
		strings.Replace(fmt.Sprintf(sample, 1, "web", IPv4, "10.0.0.1"), `"admin"`, `"ad min"`, 1): `port name "ad min" cannot be`,
	} {
		if s := parsed(t, text); len(s.endpoints) != 0 || !strings.HasPrefix(s.left, "all of it: ") || !strings.Contains(s.left, want) {
			t.Errorf("left out %s, want %s", s.left, want)
		}
	}
}

// TestLeftOutIsLoggedOnce is of a slice that stays as bad as it was.
func TestLeftOutIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	bad := one("a", "web", "web-1", "web-1")
	watched(t, Config{Log: slog.New(slog.NewTextHandler(&text, nil))}, func(d *double) { d.Put(bad) }, func(b *bed) {
		b.sees("shop/web: web-1=ready")
		bad.Endpoints = append(bad.Endpoints, pod("web-2"))
		b.Put(bad)
		b.sees("shop/web: web-1=ready web-2=ready")
		b.pass(time.Hour)
	})
	if n := strings.Count(text.String(), "\n"); n != 1 || !strings.Contains(text.String(), "slice=shop/a") || !strings.Contains(text.String(), "web-1 is in it twice") {
		t.Errorf("logged %s", text.String())
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	v := newView()
	six := parsed(t, strings.Replace(fmt.Sprintf(sample, 9, "web", IPv6, "fd00::3"), "web-x7k2p", "web-six", 1))
	for _, s := range []*slice{six, parsed(t, fmt.Sprintf(sample, 8, "web", IPv4, "10.1.2.3"))} {
		if err := v.put(s); err != nil {
			t.Fatal(err)
		}
	}
	for family, want := range map[string]string{"": "10.1.2.3", IPv4: "10.1.2.3", IPv6: "fd00::3"} {
		if all := v.merged("shop/web", family); len(all) != 1 || all[0].address != want || all[0].id != "web-7f9c" {
			t.Errorf("%q: %+v", family, all)
		}
	}
	v.remove("shop/web-x7k2p")
	if all := v.merged("shop/web", ""); len(all) != 1 || all[0].address != "fd00::3" {
		t.Errorf("%+v", all)
	}
	if all := v.merged("shop/web", IPv4); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// TestTwiceAtOnce is of an endpoint in two slices: the one written last says how it is, ports are those of both.
func TestTwiceAtOnce(t *testing.T) {
	t.Parallel()
	older := one("old", "web", "web-1", "web-2=unready")
	newer := one("new", "web", "web-1=terminating")
	older.Ports[0].Port, newer.Ports[0].Name = new(int), "web"
	*older.Ports[0].Port = 81
	watched(t, Config{}, func(d *double) { d.Put(older); d.Put(newer) }, func(b *bed) {
		b.sees("shop/web: web-1=draining web-2=not ready")
		b.memory.mu.Lock()
		fields := b.parts["shop/web"][0].Fields
		b.memory.mu.Unlock()
		if fields["port.http"] != "81" || fields["port.web"] != "8080" || fields["port"] != "" {
			t.Errorf("fields %v", fields)
		}
		b.Put(older)
		b.sees("shop/web: web-1=ready web-2=not ready")
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	v := newView()
	s := parsed(t, fmt.Sprintf(sample, 1, "web", IPv4, "10.1.2.3"))
	for range 3 {
		if err := v.put(s); err != nil || v.endpoints != 1 {
			t.Errorf("%d endpoints, %v", v.endpoints, err)
		}
	}
	v.remove(s.key())
	if v.endpoints != 0 || len(v.parts) != 0 || len(v.slices) != 0 {
		t.Errorf("left %+v", v)
	}
	v.endpoints = maxEndpoints
	if err := v.put(s); !errors.Is(err, discovery.ErrTooMuch) {
		t.Errorf("took %v", err)
	}
}

// TestPortsAreShared is of slices of ports that others have too.
func TestPortsAreShared(t *testing.T) {
	t.Parallel()
	shared := append(make([]port, 0, 8), port{"a", 1}, port{"c", 3})
	if got := addPort(shared, port{"b", 2}); !slices.Equal(got, []port{{"a", 1}, {"b", 2}, {"c", 3}}) || shared[1].name != "c" {
		t.Errorf("%v of %v", got, shared)
	}
	if got := addPort(shared, port{"c", 9}); !slices.Equal(got, shared) {
		t.Errorf("%v", got)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := Config{Server: "https://10.0.0.1:6443/k8s/clusters/c-1/", Namespace: "shop", Service: "web", Selector: "team=web,tier!=test", Family: IPv4}
	s, err := New(good)
	if err != nil || s.path != "https://10.0.0.1:6443/k8s/clusters/c-1/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" {
		t.Fatal(s, err)
	}
	if q := s.query().Get("labelSelector"); q != "team=web,tier!=test,kubernetes.io/service-name=web" {
		t.Errorf("selects %s", q)
	}
	for want, change := range map[string]func(*Config){
		"must begin with http":         func(c *Config) { c.Server = "10.0.0.1" },
		"as https://10":                func(c *Config) { c.Server = "unix:///var/run/x" },
		"must hold no user":            func(c *Config) { c.Server = "https://me:hunter2@10.0.0.1" },
		"leave out what comes after ?": func(c *Config) { c.Server += "?x=1" },
		"not for the clear":            func(c *Config) { c.Server, c.TokenFile = "http://10.0.0.1", "/token" },
		`namespace "a/../b"`:           func(c *Config) { c.Namespace = "a/../b" },
		`service "a,b"`:                func(c *Config) { c.Service = "a,b" },
		"selector: write labels":       func(c *Config) { c.Selector = "a=\nb" },
		`family "ipv4"`:                func(c *Config) { c.Family = "ipv4" },
		"page size -1":                 func(c *Config) { c.PageSize = -1 },
		"hold 2m0s":                    func(c *Config) { c.Hold = 2 * time.Minute },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	secret := "abcdefghijklmnopqrstuvwxyz"
	for text, want := range map[string]string{
		"no " + secret + " and " + secret: "no [redacted] and [redacted]",
		"cut " + secret[:18] + " …":       "cut [redacted] …",
		"fine":                            "fine",
	} {
		if got := redact(text, secret); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := redact("to be redacted", "r"); got != "to be [redacted]edacted" {
		t.Errorf("%q", got)
	}
}

// FuzzEvent reads any stream and any list: no event is without what it must have, and all found can be told.
func FuzzEvent(f *testing.F) {
	object := fmt.Sprintf(sample, 7, "web", IPv4, "10.1.2.3")
	f.Add([]byte(`{"type":"ADDED","object":` + object + `}{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}`))
	f.Add([]byte(`{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}`))
	f.Add([]byte(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[` + object + `]}`))
	s, err := New(Config{Server: "https://kube.test"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v := newView()
		if page, err := readPage(bytes.NewReader(text)); err == nil {
			w := &watcher{Source: s}
			_ = w.gather(v, page)
		}
		events := make(chan event)
		go s.read(t.Context(), bytes.NewReader(text), events)
		var last event
		for last = range events {
			if last.err == nil && (last.version == "" || last.slice == nil != (last.kind == "BOOKMARK")) {
				t.Errorf("event %+v", last)
			}
			if last.slice != nil {
				_ = v.put(last.slice)
			}
		}
		if last.err == nil {
			t.Error("over without a reason")
		}
		for part := range v.parts {
			check(t, part, v)
		}
	})
}

func check(t *testing.T, part string, v *view) {
	list := v.merged(part, "")
	if !slices.IsSortedFunc(list, func(a, b endpoint) int { return byID(a, b.id) }) {
		t.Errorf("%s is not sorted", part)
	}
	for i, f := range founds(part, list) {
		if i > 0 && f.ID == list[i-1].id {
			t.Errorf("%s twice", f.ID)
		}
		for name, value := range maps.All(f.Fields) {
			if value == "" || strings.ContainsAny(name+value, " \t\r\n\"'\\$#%{}") {
				t.Errorf("field %s %q", name, value)
			}
		}
	}
}
