package agent

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// unable takes from this thread what lets root exceed its limits; who is not root has not got it.
func unable() error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_RESOURCE, 0, 0, 0)
}

// TestServersBeyondTheLimitOfFilesAreHeld: HAProxy would take them at run time and never start again.
func TestServersBeyondTheLimitOfFilesAreHeld(t *testing.T) {
	if !aloneAfter(t, unable) {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 700, Max: 700}); err != nil {
		t.Fatal(err)
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			a := newAgentBed(t, h)
			a.node.Tuning.MaxConnections = 100
			a.site("one", 40)
			a.wish()
			first := slices.Clone(a.node.Pools[0].Servers)
			crowd := func(n int) {
				pool := &a.node.Pools[0]
				pool.Servers = slices.Clone(first)
				for i := range n {
					name := fmt.Sprintf("z%04d", i)
					pool.Servers = append(pool.Servers, ir.Server{
						Name: name, Address: netip.AddrPortFrom(a.at(41), uint16(2000+i)), Weight: 1, Owner: "Server/" + name,
					})
				}
			}
			crowd(600)
			a.wish()
			held := a.plane.report().Resources.Deviations
			if len(held) == 0 || len(held) > 500 {
				t.Fatalf("%d are held", len(held))
			}
			for id, d := range held {
				if !strings.HasPrefix(id, "server/") || !strings.Contains(d.Message, "open files") || !strings.Contains(d.Message, "LimitNOFILE") {
					t.Fatalf("%s: %+v", id, d)
				}
			}
			a.serves("one")
			a.killMaster()
			a.serves("one")
			// Others go, and there is room for those that were held.
			crowd(100)
			a.wish()
			crowd(120)
			a.wish()
			if left := a.plane.report().Resources.Deviations; len(left) > 0 {
				t.Errorf("%d are held still", len(left))
			}
			// HAProxy makes do with fewer connections, when their number is its own affair.
			a.node.Tuning.MaxConnections = 0
			a.wish()
			crowd(300)
			a.wish()
			if held := a.plane.report().Resources.Deviations; len(held) > 0 {
				t.Errorf("%d are held though fewer connections would do", len(held))
			}
			a.killMaster()
			a.serves("one")
		})
	}
}

// TestACertificateIsFreeWhenItsKeyIsThere: it was held for want of its key, and nobody changes it.
func TestACertificateIsFreeWhenItsKeyIsThere(t *testing.T) {
	b := newBed(t, weirtest.HAProxies(t)[0])
	b.site("one", 40)
	b.converge()
	ref := weir.SealedRef{Generation: 1, Fingerprint: "f"}
	list := append(slices.Clone(b.node.Resources()), &ir.Resource{ID: "certificate/c", Body: []byte(`{"name":"c","key":{"generation":1,"fingerprint":"f"}}`)})
	if held, err := b.quarantine.holdUntil(withKey, []string{"certificate/c"}, list, nil, "Certificate/c", "no key"); !held || err != nil {
		t.Fatal(held, err)
	}
	if !b.quarantine.mayPass() {
		t.Error("nobody looks for the key again")
	}
	if err := b.releasePassed(list); err != nil || len(b.quarantine.held) != 1 {
		t.Fatalf("released without its key: %v %v", b.quarantine.held, err)
	}
	b.key = func(name string, of weir.SealedRef) (s secrets.Secret, err error) {
		if name != "c" || of != ref {
			err = fmt.Errorf("key of %s %v", name, of)
		}
		return s, err
	}
	if err := b.releasePassed(list); err != nil || len(b.quarantine.held) != 0 {
		t.Errorf("held although its key is there: %v %v", b.quarantine.held, err)
	}
}
