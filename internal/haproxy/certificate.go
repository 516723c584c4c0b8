package haproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

func certFile(name string) string { return "certs/" + name + ".pem" }

// authorityFile has the digest of what it holds in its name: HAProxy does not let a server believe another
// authority at run time (TestFactAuthorityOfServerStays), so a new one is a new file, and its servers are made anew.
func authorityFile(c *ir.Certificate) string {
	return "certs/" + c.Name + "-" + chainDigest(c.Chain) + ".ca.pem"
}

func crtListFile(p weir.Port) string { return fmt.Sprintf("certs/port-%d.list", p) }

// certificates lists the files and, for each port with TLS, which are shown to whom.
func (r *renderer) certificates() {
	byName := map[string]*ir.Certificate{}
	for i := range r.node.Certificates {
		c := &r.node.Certificates[i]
		byName[c.Name] = c
	}
	files := map[string]Cert{}
	for _, p := range r.ports() {
		if p.mode != weir.PortHTTPS && p.mode != weir.PortTLSTCP || r.binds(p.number) == "" {
			continue // HAProxy knows only lists of frontends that are there
		}
		// A list must never be empty: without strict SNI HAProxy would not start, with it it warns.
		list := CrtList{Path: crtListFile(p.number), Entries: []CrtEntry{{File: PlaceholderCert}}}
		for i := range r.node.Sites {
			s := &r.node.Sites[i]
			list.Entries = append(list.Entries, r.shown(s, p.number, byName, files)...)
			if c := byName[s.ClientAuthority]; c != nil {
				files[authorityFile(c)] = authority(c)
			}
		}
		slices.SortStableFunc(list.Entries, func(a, b CrtEntry) int {
			return strings.Compare(a.File+" "+strings.Join(a.SNI, " "), b.File+" "+strings.Join(b.SNI, " "))
		})
		list.Entries = slices.CompactFunc(list.Entries, func(a, b CrtEntry) bool {
			return a.File == b.File && a.Options == b.Options && slices.Equal(a.SNI, b.SNI)
		})
		r.lists = append(r.lists, list)
	}
	for i := range r.node.Pools {
		t := r.node.Pools[i].TLS
		if t == nil {
			continue
		}
		if c := byName[t.ClientCertificate]; c != nil {
			files[certFile(c.Name)] = certificate(c)
		}
		if c := byName[t.CA]; c != nil {
			files[authorityFile(c)] = authority(c)
		}
	}
	for _, c := range files {
		r.certs = append(r.certs, c)
	}
}

func (r *renderer) shown(s *ir.Site, number weir.Port, byName map[string]*ir.Certificate, files map[string]Cert) []CrtEntry {
	var list []CrtEntry
	for _, l := range s.Listeners {
		if l.Port != number || l.TLS == nil {
			continue
		}
		var usable []*ir.Certificate
		for _, name := range l.TLS.Certificates {
			if c := byName[name]; c != nil && c.Key != nil {
				usable = append(usable, c)
			}
		}
		fits := fitting(usable)
		for i, c := range usable {
			entry := CrtEntry{File: certFile(c.Name), Options: profileOptions(&l) + r.asksClients(s), Owner: "Site/" + s.Name}
			if s.Mode == "tcp" {
				files[entry.File] = certificate(c)
				list = append(list, entry) // for all names of the certificate
				continue
			}
			for _, part := range parts(r.shownFor(s, number, c)) {
				if entry.SNI = fits(i, part); len(entry.SNI) > 0 {
					files[entry.File] = certificate(c)
					list = append(list, entry)
				}
			}
		}
	}
	return list
}

// fitting gives a function that leaves of names those that a certificate is to be shown for when there are others beside
// it: those that it is good for, and those that none is good for. Else HAProxy would show whichever came first.
func fitting(list []*ir.Certificate) func(i int, names []string) []string {
	if len(list) < 2 {
		return func(_ int, names []string) []string { return names }
	}
	good := make([]map[string]bool, len(list))
	for i, c := range list {
		good[i] = make(map[string]bool, len(c.Names))
		for _, n := range c.Names {
			if name, err := weir.CanonicalHostname(n); err == nil {
				good[i][name] = true
			}
		}
	}
	is := func(names map[string]bool, name string) bool {
		_, parent, _ := strings.Cut(name, ".")
		return names[name] || names["*."+parent]
	}
	return func(i int, names []string) (fit []string) {
		for _, name := range names {
			if is(good[i], name) || !slices.ContainsFunc(good, func(g map[string]bool) bool { return is(g, name) }) {
				fit = append(fit, name)
			}
		}
		return fit
	}
}

// shownFor gives the names that a site shows a certificate for: its own, and where it answers to every name those
// of the certificate that no other site of the port answers to, so that nobody is shown a stranger's.
func (r *renderer) shownFor(s *ir.Site, number weir.Port, c *ir.Certificate) []string {
	if !slices.Contains(s.Hostnames, "*") {
		return s.Hostnames
	}
	taken := r.namesOfOthers(s, number)
	names := slices.DeleteFunc(slices.Clone(s.Hostnames), func(h string) bool { return h == "*" })
	for _, name := range c.Names {
		if canonical, err := weir.CanonicalHostname(name); err == nil && canonical != "*" && !covered(taken, canonical) {
			names = append(names, canonical)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *renderer) namesOfOthers(s *ir.Site, number weir.Port) map[string]bool {
	taken := map[string]bool{}
	for i := range r.node.Sites {
		other := &r.node.Sites[i]
		if other.Name == s.Name || !slices.ContainsFunc(other.Listeners, func(l ir.Listener) bool { return l.Port == number }) {
			continue
		}
		for _, h := range other.Hostnames {
			taken[h] = h != "*"
		}
	}
	return taken
}

// covered says whether a name is in the set, or below a wildcard in it.
func covered(set map[string]bool, name string) bool {
	if set[name] {
		return true
	}
	rest, more := strings.TrimPrefix(name, "*."), true
	for {
		if _, rest, more = strings.Cut(rest, "."); !more {
			return false
		}
		if set["*."+rest] {
			return true
		}
	}
}

// maxShown bounds the names on one line of a crt-list, in bytes, so that a run-time command can carry it.
const maxShown = 4000

// parts cuts a list of names where a line of it is full.
func parts(names []string) [][]string {
	var list [][]string
	size := 0
	for _, name := range names {
		if size += len(name) + 1; size > maxShown || list == nil {
			list, size = append(list, nil), len(name)+1
		}
		list[len(list)-1] = append(list[len(list)-1], name)
	}
	return list
}

func certificate(c *ir.Certificate) Cert {
	return Cert{
		Path: certFile(c.Name), Chain: c.Chain, Certificate: c.Name,
		Digest: chainDigest(c.Chain) + "-" + c.Key.Fingerprint, Owner: "Certificate/" + c.Name,
	}
}

func authority(c *ir.Certificate) Cert {
	return Cert{Path: authorityFile(c), Chain: c.Chain, Certificate: c.Name, Digest: chainDigest(c.Chain), Authority: true, Owner: "Certificate/" + c.Name}
}

// asksClients are the crt-list options that ask clients of a site for a certificate and refuse one that its authority did
// not sign; who has none is let in.
func (r *renderer) asksClients(s *ir.Site) string {
	if s.ClientAuthority == "" {
		return ""
	}
	return " verify optional ca-file " + authorityFile(r.certificateOf(s.ClientAuthority))
}

func chainDigest(c weir.Chain) string {
	h := sha256.New()
	var space [512]byte // a hash has no way to take a text without a copy of it
	for _, text := range []string{c.Leaf(), c.Rest()} {
		for len(text) > 0 {
			n := copy(space[:], text)
			_, _ = h.Write(space[:n]) // which never fails
			text = text[n:]
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
