package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// crowd is how many sites there are beside the bad one, each with a pool and a server of its own.
const crowd = 330

// thousand declares about a thousand good objects: crowd sites at one address, and what they need.
func (w *world) thousand() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
kind: Zone
metadata: {name: az1}
---
kind: Role
metadata: {name: web}
---
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}]}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [%[1]s/30, 198.51.100.0/30], tuning: default}
---
kind: IPAddress
metadata: {name: www, role: web}
spec: {address: %[2]s, homeZone: az1, groups: [edge]}
`, w.at(16), w.at(17))
	for i := range crowd {
		fmt.Fprintf(&b, `---
kind: Server
metadata: {name: s%[1]d, role: web}
spec: {address: %[2]s, zone: az1, clusters: [c%[1]d], ports: {http: 9000}}
---
kind: Pool
metadata: {name: p%[1]d, role: web}
spec: {selector: {role: web, clusters: [c%[1]d]}, port: http, healthCheck: {type: tcp, interval: 3s, rise: 1}}
---
kind: Site
metadata: {name: s%[1]d, role: web}
spec: {hostnames: [s%[1]d.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: p%[1]d}}
`, i, w.at(200))
	}
	return b.String()
}

// crowdServes asks every good site once.
func (w *world) crowdServes() {
	w.t.Helper()
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	next := 0
	weirtest.Eventually(w.t, waitLong, func() error {
		for ; next < crowd; next++ {
			request, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+w.at(17).String()+":8080/x", nil)
			if err != nil {
				return err
			}
			request.Host = fmt.Sprintf("s%d.example.com", next)
			answer, err := client.Do(request)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode != 200 {
				return fmt.Errorf("%s: %d", request.Host, answer.StatusCode)
			}
		}
		return nil
	})
}

// fault is one bad object: how it is written, where its status tells of it, and what makes it good.
type fault struct {
	name, bad, good string
	// address is where the status is, condition which one tells; words must be in its message.
	address, condition, status string
	words                      []string
	// held says that a load balancer keeps the object out; else it is left out when compiling.
	held bool
	// vip and path are where it serves when it is good.
	vip, path string
}

// badSite is a site of its own for a fault, with a backend "other" for what the fault is about.
func badSite(name, more string) string {
	return fmt.Sprintf(`
---
kind: Site
metadata: {name: %[1]s, role: web}
spec: {hostnames: [%[1]s.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: p0}%[2]s}
`, name, more)
}

func (w *world) faults(ca *authority) []fault {
	page := func(size int) string {
		return "\n---\nkind: ErrorPage\nmetadata: {name: bad-page, role: web}\nspec: {body: \"" + strings.Repeat("x", size) + "\"}\n"
	}
	table := func(key string) string {
		return "\n---\nkind: Map\nmetadata: {name: bad-map, role: web}\nspec: {match: regex, entries: [{key: '" + key + "', value: default}]}\n"
	}
	address := func(a string) string {
		return "\n---\nkind: IPAddress\nmetadata: {name: bad-address, role: web}\nspec: {address: " + a + ", groups: [edge]}\n"
	}
	withPage := badSite("paged", ", errorPages: {503: bad-page}")
	withMap := badSite("mapped", ", routes: [{match: {map: bad-map}}]")
	withAddress := strings.ReplaceAll(badSite("addressed", ""), "[www]", "[bad-address]")
	withCert := strings.ReplaceAll(badSite("secured", ""), "{port: 8080}", "{port: 8443, tls: {certificates: [bad-cert]}}, {port: 8080}")
	weak, strong := ca.issueWeak("secured.example.com").manifest("bad-cert"), ca.issue("secured.example.com").manifest("bad-cert")
	return []fault{
		{
			name: "regex", held: true, address: "sites/routed", condition: "Quarantined", status: "True", words: []string{"lb1", "x{3,1}"},
			bad:  badSite("routed", ", routes: [{match: {path: {regex: '/x{3,1}'}}, backend: default}]"),
			good: badSite("routed", ", routes: [{match: {path: {regex: '/x{1,3}'}}, backend: default}]"), path: "routed.example.com/xx",
		},
		{
			name: "page", address: "errorpages/bad-page", condition: "Accepted", status: "False", words: []string{"edge", "body", "bytes"},
			bad: page(20_000) + withPage, good: page(2000) + withPage, path: "paged.example.com/",
		},
		{
			name: "certificate", held: true, address: "certificates/bad-cert", condition: "Quarantined", status: "True", words: []string{"lb1", "ca key too small"},
			bad: weak + withCert, good: strong + withCert, path: "secured.example.com/",
		},
		{
			name: "address", held: true, address: "ipaddresses/bad-address", condition: "Quarantined", status: "True", words: []string{"lb1", "198.51.100.1", "8080", "8443"},
			bad: address("198.51.100.1") + withAddress, good: address(w.at(18).String()) + withAddress, vip: w.at(18).String(), path: "addressed.example.com/",
		},
		{
			name: "map", held: true, address: "maps/bad-map", condition: "Quarantined", status: "True", words: []string{"lb1", "m{3,1}"},
			bad: table("/m{3,1}") + withMap, good: table("/m{1,3}") + withMap, path: "mapped.example.com/mm",
		},
	}
}

// told waits until the status of the bad object says why, and everything else is programmed.
func (w *world) told(f fault) {
	w.t.Helper()
	w.says(f.address, f.condition, f.status, f.words...)
	if f.held {
		w.says(f.address, "Programmed", "False", "lb1")
	}
}

func (w *world) mended(f fault) {
	w.t.Helper()
	w.converged(w.apply(f.good))
	weirtest.Eventually(w.t, waitLong, func() error {
		byType := w.conditions(f.address)
		if _, held := byType["Quarantined"]; held || byType["Accepted"].Status != "True" || byType["Programmed"].Status != "True" {
			return fmt.Errorf("%s is mended, and its status is %+v", f.name, byType)
		}
		return nil
	})
	vip := f.vip
	if vip == "" {
		vip = w.at(17).String()
	}
	host, path, _ := strings.Cut(f.path, "/")
	w.serves(vip+":8080", host, "/"+path)
}

// TestBadObjectsAppliedTogether: with the five of them in the first change that a load balancer ever gets, all
// others serve, also after a restart of everything.
func TestBadObjectsAppliedTogether(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web")
		faults := w.faults(newAuthority(t, "ca"))
		text := w.thousand()
		for _, f := range faults {
			text += f.bad
		}
		w.apply(text)
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.crowdServes()
		for _, f := range faults {
			w.told(f)
		}
		w.restartAll()
		w.converged(1)
		w.crowdServes()
		for _, f := range faults {
			w.told(f)
		}
		for _, f := range faults {
			w.mended(f)
		}
		w.crowdServes()
	})
}

// TestBadObjectsAppliedOneByOne: each bad form comes after a good one of the same object, which stays.
func TestBadObjectsAppliedOneByOne(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web")
		w.apply(w.thousand())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		faults := w.faults(newAuthority(t, "ca"))
		for i, f := range faults {
			w.mended(f)
			w.converged(w.apply(f.bad))
			w.told(f)
			// What comes later ships all the same.
			w.converged(w.apply(badSite(fmt.Sprintf("later%d", i), "")))
			w.serves(w.at(17).String()+":8080", fmt.Sprintf("later%d.example.com", i), "/")
		}
		w.crowdServes()
		last := func() {
			t.Helper()
			for _, f := range faults {
				w.told(f)
				if host, path, _ := strings.Cut(f.path, "/"); f.vip == "" {
					w.serves(w.at(17).String()+":8080", host, "/"+path)
				}
			}
		}
		last()
		w.restartAll()
		w.converged(1)
		w.crowdServes()
		last()
	})
}
