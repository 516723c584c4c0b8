package weirtest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// KnotPort is the port of the name servers that tests start: 53 is root's.
const KnotPort = "5353"

// Knot is a pair of real Knot DNS servers: a primary that takes dynamic updates signed with a key,
// and a secondary that has the zones as they were at its start until Notify sends it to look.
type Knot struct {
	t       testing.TB
	dir     string
	binary  string
	primary *Process
	first   netip.Addr
	second  netip.Addr
	serial  int // of the zones that were changed last
	// Addr and Secondary are where the two listen, over UDP and TCP.
	Addr, Secondary string
	// KeyName, Algorithm and Secret, in base64, are the key that may update the open zones.
	KeyName, Algorithm, Secret string
}

// KnotZone is a zone that both servers have; its name servers are ns1 (the primary) and ns2 (the
// secondary) below it.
type KnotZone struct {
	// Name ends with a dot.
	Name string
	// Closed allows updates to nobody; Knot says NOTAUTH then, without a signature.
	Closed bool
	// NS gives the name servers instead of the two, and Records more lines of the zone's file.
	NS, Records []string
}

// StartKnot starts both servers on 127.0.0.0/8 and returns once each of them has all zones; they end with the test.
// A missing binary fails the test and names the command that gets it.
func StartKnot(t testing.TB, zones ...KnotZone) *Knot {
	t.Helper()
	return StartKnotWith(t, "hmac-sha256", zones...)
}

// StartKnotWith is StartKnot with a key of another algorithm.
func StartKnotWith(t testing.TB, algorithm string, zones ...KnotZone) *Knot {
	t.Helper()
	k := &Knot{
		t: t, dir: TempDir(t), binary: filepath.Join(Root(t), ".tools", "knot", "usr", "sbin", "knotd"),
		KeyName: "weir.", Algorithm: algorithm, Secret: "d2VpciB0ZXN0cyB3aXRoIHRoaXMga2V5LCBub2JvZHk=",
	}
	if _, err := os.Stat(k.binary); err != nil {
		t.Fatalf("find knot: %v; run scripts/programs.sh knot to get it", err)
	}
	first := Prefix(t).Addr().Next()
	second := first.Next()
	k.first, k.second, k.serial = first, second, 1
	k.Addr, k.Secondary = net.JoinHostPort(first.String(), KnotPort), net.JoinHostPort(second.String(), KnotPort)
	for _, z := range zones {
		k.write("primary/"+z.Name+"zone", z.file(first, second, k.serial))
	}
	k.write("primary.conf", k.config("primary", first, k.primaryZones(zones, second)))
	k.write("secondary.conf", k.config("secondary", second, k.secondaryZones(zones, first)))
	k.Start()
	for _, z := range zones {
		k.awaitZone(k.Addr, z.Name, 1)
	}
	// Only now: a secondary that finds no primary tries again when it likes.
	Command(t, k.binary, "-c", filepath.Join(k.dir, "secondary.conf"), "-s", filepath.Join(k.dir, "secondary", "ctl"))
	for _, z := range zones {
		k.awaitZone(k.Secondary, z.Name, 1)
	}
	return k
}

// Start starts a primary that does not run; it has the zones as they were when it ended.
func (k *Knot) Start() {
	k.t.Helper()
	k.primary = Command(k.t, k.binary, "-c", filepath.Join(k.dir, "primary.conf"), "-s", filepath.Join(k.dir, "primary", "ctl"))
}

// Change lets the primary have other records in a zone, and returns once it answers by them; the zone must not have been
// updated.
func (k *Knot) Change(z KnotZone) {
	k.t.Helper()
	k.serial++
	k.write("primary/"+z.Name+"zone", z.file(k.first, k.second, k.serial))
	if err := k.primary.Signal(syscall.SIGHUP); err != nil {
		k.t.Fatalf("let knot read its zones again: %v", err)
	}
	k.awaitZone(k.Addr, z.Name, uint32(k.serial))
}

// Stop ends the primary.
func (k *Knot) Stop() {
	k.t.Helper()
	if err := k.primary.Stop(); err != nil {
		k.t.Fatalf("stop knot: %v", err)
	}
}

// Process is the primary's, to be stopped and continued.
func (k *Knot) Process() *Process { return k.primary }

// Notify sends the secondary to look for what has changed in the zone; it has that a moment later.
func (k *Knot) Notify(zone string) {
	k.t.Helper()
	m := new(dns.Msg)
	m.SetNotify(zone)
	answer, err := dns.Exchange(m, k.Secondary)
	if err != nil || answer.Rcode != dns.RcodeSuccess {
		k.t.Fatalf("notify %s of %s: %v %v", k.Secondary, zone, answer, err)
	}
}

// TXT gives the values that a server has at a name, as it answers over TCP.
func (k *Knot) TXT(server, name string) []string {
	k.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeTXT)
	client := dns.Client{Net: "tcp", Timeout: Patience}
	answer, _, err := client.Exchange(m, server)
	if err != nil {
		k.t.Fatalf("ask %s for TXT %s: %v", server, name, err)
	}
	var values []string
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}

func (k *Knot) awaitZone(server, zone string, serial uint32) {
	k.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(zone, dns.TypeSOA)
	client := dns.Client{Net: "tcp", Timeout: 2 * time.Second}
	Eventually(k.t, Patience, func() error {
		answer, _, err := client.Exchange(m, server)
		if err != nil {
			return err
		}
		if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
			return fmt.Errorf("%s does not have %s yet: %s", server, zone, dns.RcodeToString[answer.Rcode])
		}
		if soa, ok := answer.Answer[0].(*dns.SOA); !ok || soa.Serial < serial {
			return fmt.Errorf("%s has %v of %s, want serial %d or later", server, answer.Answer[0], zone, serial)
		}
		return nil
	})
}

// file is the zone as text. The secondary looks by itself once a day.
func (z KnotZone) file(first, second netip.Addr, serial int) string {
	ns := z.NS
	if ns == nil {
		ns = []string{"ns1." + z.Name, "ns2." + z.Name}
	}
	lines := []string{"$ORIGIN " + z.Name, "$TTL 1", fmt.Sprintf("@ SOA ns1 hostmaster %d 86400 86400 864000 1", serial), "ns1 A " + first.String(), "ns2 A " + second.String()}
	for _, n := range ns {
		lines = append(lines, "@ NS "+n)
	}
	return strings.Join(append(lines, z.Records...), "\n") + "\n"
}

func (k *Knot) config(name string, listen netip.Addr, zones string) string {
	dir := filepath.Join(k.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		k.t.Fatal(err)
	}
	return fmt.Sprintf(`server:
    rundir: "%[1]s"
    listen: %[2]s@%[3]s
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
    tcp-max-clients: 1000
log:
  - target: stderr
    any: info
database:
    storage: "%[1]s"
    journal-db-mode: asynchronous
key:
  - id: %[4]s
    algorithm: %[5]s
    secret: %[6]s
`, dir, listen, KnotPort, k.KeyName, k.Algorithm, k.Secret) + zones
}

func (k *Knot) primaryZones(zones []KnotZone, secondary netip.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "acl:\n  - id: update\n    key: %s\n    action: update\n    update-type: TXT\n", k.KeyName)
	fmt.Fprintf(&b, "  - id: transfer\n    address: %s\n    action: transfer\nzone:\n", secondary)
	for _, z := range zones {
		acl := "transfer, update"
		if z.Closed {
			acl = "transfer"
		}
		fmt.Fprintf(&b, "  - domain: %s\n    storage: %q\n    file: %q\n    acl: [ %s ]\n    zonefile-sync: -1\n",
			z.Name, filepath.Join(k.dir, "primary"), z.Name+"zone", acl)
	}
	return b.String()
}

func (k *Knot) secondaryZones(zones []KnotZone, primary netip.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "remote:\n  - id: primary\n    address: %s@%s\n    via: %s\n", primary, KnotPort, primary.Next())
	b.WriteString("acl:\n  - id: notify\n    address: 127.0.0.0/8\n    action: notify\nzone:\n")
	for _, z := range zones {
		fmt.Fprintf(&b, "  - domain: %s\n    storage: %q\n    file: %q\n    master: primary\n    acl: notify\n", z.Name, filepath.Join(k.dir, "secondary"), z.Name+"zone")
	}
	return b.String()
}

func (k *Knot) write(name, text string) {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}
