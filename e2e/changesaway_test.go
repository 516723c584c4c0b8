package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/weirtest"
)

// changing is a zone whose servers come of two lists and of two kinds of registrations; each kind has a pool and a site of
// its own.
func (w *world) changing() string {
	before, _, _ := strings.Cut(w.oneZone(), "---\nkind: Server\n")
	for kind, admission := range map[string]string{"listed": "check", "emptied": "both", "registered": "both", "silent": "registration"} {
		before += poolSite(kind, "selector: {role: web, clusters: ["+kind+"]}, port: http, admission: "+admission+", healthCheck: {path: /ping, interval: 200ms, rise: 1, fall: 2}")
	}
	for _, kind := range []string{"listed", "emptied"} {
		before += fmt.Sprintf(`---
kind: DiscoverySource
metadata: {name: %[1]s}
spec:
  file: {path: %[1]s.json}
  interval: 100ms
  role: web
  server: {name: "%[1]s-${address}", zone: az1, clusters: [%[1]s], ports: {http: "${port}"}}
  floor: {hold: 8m}
`, kind)
	}
	return before
}

// leases is in how many keys etcd still has who was heard, which go by themselves.
func (w *world) leases() (int64, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: w.etcd.Endpoints(), TLS: w.etcd.TLS(), DialTimeout: waitLong})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	all, err := client.Get(w.t.Context(), "weir/v1/h/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return all.Count, nil
}

// TestHalfOfTheServersChangeWhileTheControlPlaneIsAway: for ten minutes, by its clock, in which its source's hold and the
// leases of all registrations pass. Each pool has clients all the while, and not one request of theirs fails, so none was
// ever empty; afterwards each server is as it must be.
func TestHalfOfTheServersChangeWhileTheControlPlaneIsAway(t *testing.T) {
	t.Parallel()
	for i, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			if i == 0 {
				halfChanges(t, newRegistering(t), h)
				return
			}
			// Outside, leases run out while no control plane is there.
			halfChanges(t, newRegistering(t, weirtest.StartEtcd(t, 1)), h)
		})
	}
}

func halfChanges(t *testing.T, w *world, h weirtest.HAProxy) {
	hosts := func(from, to int) (list []string) {
		for host := from; host < to; host++ {
			list = append(list, w.at(host).String())
		}
		return list
	}
	origins := map[string]*weirtest.Origin{}
	for host, name := range map[int]string{
		200: "l0", 201: "l1", 202: "l2", 203: "l3", 204: "l4", 205: "l5", 206: "l6", 207: "l7",
		208: "l8", 209: "l9", 210: "l10", 211: "l11", 220: "e0", 221: "e1",
		230: "web-0", 231: "web-1", 232: "web-2", 233: "web-3", 234: "web-4", 235: "web-5", 236: "web-6", 237: "web-7", 238: "web-8",
		240: "web-s0", 241: "web-s1",
	} {
		origins[name] = w.origin(host, name)
	}
	w.writeTargets("listed.json", hosts(200, 208)...)
	w.writeTargets("emptied.json", hosts(220, 222)...)
	w.apply(w.changing())
	w.join("lb1", "edge", "az1", h, "")
	token := w.registrationToken("registered", "registered")
	registered := make([]*registrant, 9)
	for i := range registered {
		registered[i] = w.registrant(fmt.Sprintf("web-%d", i), 230+i, token)
	}
	for _, r := range registered[:6] {
		r.start()
	}
	silentToken := w.registrationToken("silent", "silent")
	silent := []*registrant{w.registrant("web-s0", 240, silentToken).start(), w.registrant("web-s1", 241, silentToken).start()}
	at := w.at(17).String() + ":8080"
	servedBy := func(kind string, names ...string) {
		t.Helper()
		w.onlyFrom(at, kind+".example.com", names...)
	}
	servedBy("listed", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7")
	servedBy("emptied", "e0", "e1")
	servedBy("registered", "web-0", "web-1", "web-2", "web-3", "web-4", "web-5")
	servedBy("silent", "web-s0", "web-s1")
	var clients []*traffic
	for _, kind := range []string{"listed", "emptied", "registered", "silent"} {
		clients = append(clients, w.sendEvery(80*time.Millisecond, at, kind+".example.com"))
	}
	reloads := w.reloads()

	// A fall that is doubted when the control plane goes.
	w.writeTargets("listed.json", hosts(203, 208)...)
	doubted := w.source("listed", func(s *weir.SourceStatus) bool { return s.Doubt != nil && s.Doubt.Servers == 3 }).Doubt
	servedBy("listed", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7")
	since := registered[3].is(weir.RegistrationHealthy).Since
	w.stopServer()

	// Meanwhile one of those that register themselves is taken away, and can tell nobody.
	if err := registered[0].process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// Half of the list's servers are replaced, and the other list is empty.
	w.writeTargets("listed.json", hosts(204, 212)...)
	w.writeTargets("emptied.json")
	left := []string{"l1", "l2", "l3", "l4", "l5", "l6", "l7"}
	for i := range 4 {
		origins[fmt.Sprint("l", i)].Stop()
		servedBy("listed", left[i:]...)
	}
	// Of those that register themselves a second loses its power, a check of a third fails, and three are new.
	registered[0].wrote("can't withdraw; the registration runs out by itself")
	if err := registered[0].process.Wait(); err != nil {
		t.Errorf("weir register: %v", err)
	}
	origins["web-0"].Stop()
	servedBy("registered", "web-1", "web-2", "web-3", "web-4", "web-5")
	registered[1].process.Kill()
	origins["web-1"].Stop()
	servedBy("registered", "web-2", "web-3", "web-4", "web-5")
	if err := os.Remove(registered[2].well); err != nil {
		t.Fatal(err)
	}
	for _, r := range registered[6:] {
		r.start().wrote("can't tell the control plane")
	}
	// The agents of all that are in the last pool die; what they watched over is well.
	for _, r := range silent {
		r.process.Kill()
	}
	if w.etcd != nil {
		weirtest.Eventually(t, waitLong, func() error {
			if n, err := w.leases(); n > 0 || err != nil {
				return fmt.Errorf("who was heard is in %d keys still: %v", n, err)
			}
			return nil
		})
	}
	for _, c := range clients {
		c.more(50)
	}

	w.clock = func() time.Time { return time.Now().Add(10 * time.Minute) }
	w.startServer()
	servedBy("listed", "l4", "l5", "l6", "l7", "l8", "l9", "l10", "l11")
	s := w.source("listed", func(s *weir.SourceStatus) bool { return s.Doubt == nil && s.Servers == 8 })
	if !strings.Contains(s.Change, "gone for 8m") {
		t.Errorf("the doubt of %s was ended by %q", doubted.Since, s.Change)
	}
	w.says("discoverysources/emptied", "Believed", "False", "all 2 servers that it had are gone")
	for i, state := range []string{
		weir.RegistrationStale, weir.RegistrationStale, weir.RegistrationWithdrawn, weir.RegistrationHealthy, weir.RegistrationHealthy,
		weir.RegistrationHealthy, weir.RegistrationHealthy, weir.RegistrationHealthy, weir.RegistrationHealthy,
	} {
		registered[i].is(state)
	}
	for _, r := range silent {
		r.is(weir.RegistrationStale)
	}
	servedBy("registered", "web-3", "web-4", "web-5", "web-6", "web-7", "web-8")
	servedBy("emptied", "e0", "e1")
	servedBy("silent", "web-s0", "web-s1")
	w.says("pools/silent", "Admitted", "False", "2 fell silent and stay in by the floor")
	w.converged(1)
	if is := registered[3].is(weir.RegistrationHealthy); !is.Since.Equal(since) {
		t.Errorf("who was well all the while was taken out at %s: %+v", is.Since, is)
	}
	for _, c := range clients {
		c.more(20)
		c.flawless()
	}
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
}
