package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// holders are the files of the agent that hold a text.
func (b *bed) holders(text string) (list []string) {
	b.t.Helper()
	dir := filepath.Dir(b.folder.dir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		have, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(have), text) {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// TestCertificateThatGoes: one that is left out, because it was revoked or nobody needs it any more, is not shown from
// then on, and neither HAProxy nor any file has it, or its key; all else stays as it is.
func TestCertificateThatGoes(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b, v := newBed(t, h), newVault(t)
		b.key = v.key
		for i, name := range []string{"one", "two", "three"} {
			b.site(name, byte(40+i))
			b.secure(i, name)
			b.node.Certificates = append(b.node.Certificates, v.ecdsa(name, name+".example"))
		}
		keyOf := func(name string) string {
			return strings.Split(v.keys[v.last[name]], "\n")[1]
		}
		b.converge()
		for _, name := range []string{"one", "two", "three"} {
			if got := b.holders(keyOf(name)); len(got) == 0 {
				t.Fatalf("the key of %s is nowhere: the test looks for nothing", name)
			}
		}
		gone := func(name string) {
			t.Helper()
			if serial, err := b.shown(name + ".example"); err == nil {
				t.Errorf("%s is shown %s", name, serial)
			}
			if have, err := b.process.Client().Certs(t.Context()); err != nil || strings.Contains(fmt.Sprint(have.Names), name+".pem") {
				t.Errorf("HAProxy has %v, %v", have.Names, err)
			}
			if got := b.holders(keyOf(name)); len(got) > 0 {
				t.Errorf("the key of %s is in %v", name, got)
			}
		}
		// Revoked: its site names it still.
		all := b.node.Certificates
		b.node.Certificates = []ir.Certificate{all[1], all[2]}
		if out := b.converge(); out.Reloaded || len(out.Plan.Ops) != 2 {
			t.Errorf("revoked by %+v", out.Plan)
		}
		gone("one")
		b.settled()
		// Unused: its site goes with it.
		b.node.Certificates, b.node.Sites = []ir.Certificate{all[2]}, b.node.Sites[2:]
		if out := b.converge(); out.Reloaded {
			t.Errorf("unused: %+v", out.Plan)
		}
		gone("two")
		b.settled()
		if got, err := b.shown("three.example"); err != nil || got != serialOf(t, all[2]) {
			t.Errorf("three is shown %s, %v", got, err)
		}
	})
}

// TestClockSaysNothingAboutCertificates: an agent whose clock is wrong brings what the control plane has, and drops
// nothing: when it starts, when something is renewed, and while it goes on.
func TestClockSaysNothingAboutCertificates(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	for _, off := range []time.Duration{-2 * time.Hour, 2 * time.Hour} { // they are good from an hour ago for an hour
		b, v := newBed(t, h), newVault(t)
		wrong := func() time.Time { return time.Now().Add(off) }
		b.key, b.clock = v.key, wrong
		b.site("www", 40)
		b.secure(0, "www")
		for _, when := range []string{"at the start", "renewed", "a new agent"} {
			if when == "a new agent" {
				b.anew(h, v)
				b.clock = wrong
				if err := b.resume(t.Context(), b.node.Resources()); err != nil {
					t.Fatal(err)
				}
			} else {
				b.node.Certificates = []ir.Certificate{v.ecdsa("www", "www.example")}
			}
			b.converge()
			if got := b.proven(); got != "1" {
				t.Errorf("%s off, %s: %s", off, when, got)
			}
			if got, err := b.shown("www.example"); err != nil || got != serialOf(t, b.node.Certificates[0]) || len(b.quarantine.held) > 0 {
				t.Errorf("%s off, %s: shown %s, %v, held %v", off, when, got, err, b.quarantine.held)
			}
		}
	}
}

// TestDiskFullWhileACertificateIsWritten: the file of the one before is whole, and it is shown, until there is room.
func TestDiskFullWhileACertificateIsWritten(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			a := newAgentBed(t, h)
			v := newVault(t)
			a.engine.key = v.key
			a.site("www", 40)
			a.listen("www", 8443, weir.PortHTTPS, "intermediate", []string{"www.example"}, "www")
			old := v.ecdsa("www", "www.example")
			a.node.Certificates = []ir.Certificate{old}
			a.wish()
			path := a.engine.folder.path("certs/www.pem")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			shows := func(want ir.Certificate) {
				t.Helper()
				weirtest.Eventually(t, longWait, func() error {
					if got, err := a.shown("www.example"); err != nil || got != serialOf(t, want) {
						return fmt.Errorf("shown %s, %w", got, err)
					}
					return nil
				})
			}
			room := fullDisk(t, uint64(len(before)/2)) // in the middle of the file
			renewed := v.ecdsa("www", "www.example")
			a.node.Certificates = []ir.Certificate{renewed}
			a.offer()
			a.await(failedWith("can't be kept on disk"))
			shows(old)
			if now, err := os.ReadFile(path); err != nil || string(now) != string(before) {
				t.Errorf("the file is another one: %v", err)
			}
			if left, err := filepath.Glob(filepath.Join(a.engine.folder.dir, "certs", ".*")); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			room()
			a.converged()
			shows(renewed)
			a.await(func(r link.Report) error {
				if len(r.Resources.Deviations) > 0 {
					return fmt.Errorf("%+v", r.Resources)
				}
				return nil
			})
		})
	}
}
