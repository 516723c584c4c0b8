package e2e

import (
	"crypto/tls"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// certWishes are two wishes that differ in certificates alone: one of them is renewed, the others come and go.
func (w *world) certWishes(ca *authority) (wishes [2]string) {
	site := func(name string) string {
		return fmt.Sprintf("---\nkind: Site\nmetadata: {name: %[1]s, role: web}\nspec: {hostnames: [%[1]s.example.com], addresses: [www], listeners: [{port: 8443, tls: {certificates: [%[1]s]}}], backends: {default: web}}\n", name)
	}
	for i, other := range []string{"two", "three"} {
		for _, name := range []string{"one", other} {
			wishes[i] += ca.issue(name+".example.com").manifest(name) + site(name)
		}
	}
	return wishes
}

// certGone deletes what a wish lacks and the other has.
var certGone = [2]string{"&delete=Site/three&delete=Certificate/three", "&delete=Site/two&delete=Certificate/two"}

// TestAgentIsKilledWhileCertificatesChange: before each thing that is said to HAProxy about certificates; those that come
// together are said at once, and what a HAProxy that heard half of it is brought to says TestWhatACrashLeftOfACertificate. The next agent
// brings it to what one has that reads the files, with no transaction left; and every client that asks meanwhile for the
// name that is renewed is shown a certificate.
func TestAgentIsKilledWhileCertificatesChange(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.look = time.Hour // what was missed must not be mended by looking again
		w.origin(200, "web1")
		wishes := w.certWishes(newAuthority(t, "ca"))
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		a.stop()
		w.leftServing(a)
		began := false
		wish := func(i int) int64 {
			t.Helper()
			gone := ""
			if began {
				gone = certGone[i]
			}
			began = true
			var answer struct{ Revision int64 }
			if _, err := w.call("POST", "/api/v1/apply?reason=test"+gone, wishes[i], &answer); err != nil {
				t.Fatal(err)
			}
			return answer.Revision
		}
		at := w.at(17).String() + ":8443"
		shown := func() string {
			conn, err := tls.Dial("tcp", at, &tls.Config{ServerName: "one.example.com", InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
		}
		var whole, serial [2]string
		for _, i := range []int{1, 0} {
			revision := wish(i)
			p := w.runAgent(a, 0)
			w.converged(revision)
			w.killHAProxy(a)
			w.serves(w.at(17).String()+":8080", "www.example.com", "/")
			w.converged(revision)
			whole[i], serial[i] = w.all(a), shown()
			p.Kill()
		}
		if serial[0] == serial[1] {
			t.Fatal("nothing is renewed")
		}
		clients := w.shakeHands(at, "one.example.com", &tls.Config{ServerName: "one.example.com", InsecureSkipVerify: true})
		clients.more(20)
		var points []string
		missing := func() []string {
			return slices.DeleteFunc([]string{"say set ssl", "say add ssl", "say del ssl"}, func(want string) bool { return slices.Contains(points, want) })
		}
		// What is said on the way there and on the way back is alike, so that one point is tried on the way there and the
		// next on the way back. How much is said at once differs from time to time: what was never come by is sought for
		// with the ways exchanged.
		for i, offset := 0, 0; offset < 2 && len(missing()) > 0; offset++ {
			for n, over := (i+offset+1)%2, 0; over < 2; n, i = n+1, 1-i { // the 0th point is none
				revision := wish(1 - i)
				p := w.runAgentTo(a, n, "say ")
				if point := w.killedOrConverged(p, revision); point == "" {
					over++
				} else {
					over, points = 0, append(points, point)
				}
				p.Kill()
				next := w.runAgent(a, 0)
				w.converged(revision)
				if now := w.all(a); now != whole[1-i] || shown() != serial[1-i] {
					t.Fatalf("%q: HAProxy has\n%s\nand should\n%s\n%s", points, now, whole[1-i], next.Output())
				}
				next.Kill()
			}
		}
		clients.flawless()
		t.Logf("%d points", len(points))
		if never := missing(); len(never) > 0 {
			t.Errorf("no agent was killed before it could %q: %q", never, points)
		}
	})
}
