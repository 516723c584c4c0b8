package plan

import (
	"cmp"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// certificates makes files known before anything shows or trusts them, and forgets them when nothing does.
func (d *differ) certificates() {
	s := &d.stages
	merge(d.have.Certs, d.want.Certs, compareCerts, func(h, w *haproxy.Cert) {
		switch {
		case h == nil:
			s.certsIn = append(s.certsIn, certOp(NewCA, NewCert, w), setCert(w))
		case w == nil:
			s.certOut = append(s.certOut, certOp(DelCA, DelCert, h))
		case h.Digest != w.Digest:
			s.certsIn = append(s.certsIn, setCert(w))
		}
	})
}

func compareCerts(a, b *haproxy.Cert) int {
	if c := strings.Compare(a.Path, b.Path); c != 0 || a.Authority == b.Authority {
		return c
	}
	if a.Authority {
		return 1
	}
	return -1
}

func certOp(authority, own Kind, c *haproxy.Cert) Op {
	k := own
	if c.Authority {
		k = authority
	}
	return Op{Kind: k, Owner: c.Owner, Path: c.Path}
}

func setCert(c *haproxy.Cert) Op {
	op := certOp(SetCA, SetCert, c)
	op.Digest, op.Certificate, op.chain = c.Digest, c.Certificate, c.Chain
	return op
}

// crtLists adds the lines that are missing from the lists and takes away the others: at once where a new line
// shows the same names, so that old options don't linger, and else when no map serves the names any more.
// A list that have doesn't know is a reason to reload.
func (d *differ) crtLists() {
	byPath := func(a, b *haproxy.CrtList) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.CrtLists, d.want.CrtLists, byPath, func(h, w *haproxy.CrtList) {
		if w == nil {
			w = &haproxy.CrtList{Path: h.Path, Entries: d.unmanaged(h.Entries)}
		}
		if h != nil && !slices.EqualFunc(h.Entries, w.Entries, sameCrt) {
			d.crtList(h, w)
		}
	})
}

// unmanaged gives the lines of files that are no certificate of anybody's, as the one that keeps a list from
// being empty: a list that nobody asks for any more keeps them, or it could not be used again.
func (d *differ) unmanaged(list []haproxy.CrtEntry) []haproxy.CrtEntry {
	return slices.DeleteFunc(slices.Clone(list), func(e haproxy.CrtEntry) bool { return managed(d.have.Certs, e.File) })
}

func managed(certs []haproxy.Cert, file string) bool {
	return slices.ContainsFunc(certs, func(c haproxy.Cert) bool { return c.Path == file && !c.Authority })
}

func sameCrt(a, b haproxy.CrtEntry) bool {
	return a.File == b.File && a.Options == b.Options && slices.Equal(a.SNI, b.SNI)
}

func compareCrt(a, b *haproxy.CrtEntry) int {
	return cmp.Or(strings.Compare(a.File, b.File), slices.Compare(a.SNI, b.SNI), strings.Compare(a.Options, b.Options))
}

// protocolCauses speaks of lines that must go and have protocols of their own: HAProxy 3.4.7 and 3.2.26 free those while
// handshakes on other threads may still look at them.
func (d *differ) protocolCauses() []cause {
	var list []cause
	byPath := func(a, b *haproxy.CrtList) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.CrtLists, d.want.CrtLists, byPath, func(h, w *haproxy.CrtList) {
		if h == nil {
			return
		}
		var stays []haproxy.CrtEntry
		if w != nil {
			stays = w.Entries
		}
		merge(h.Entries, stays, compareCrt, func(he, we *haproxy.CrtEntry) {
			if we == nil && slices.Contains(strings.Fields(he.Options), "alpn") {
				list = append(list, cause{
					owner: he.Owner, section: "crt-list " + h.Path,
					what: "protocols of a certificate's own (alpn) are no longer offered", why: whyALPN,
				})
			}
		})
	})
	return list
}

func (d *differ) crtList(h, w *haproxy.CrtList) {
	shown := map[string]bool{}
	for i := range w.Entries {
		for _, name := range shownNames(&w.Entries[i]) {
			shown[name] = true
		}
	}
	var replaced []Op
	merge(h.Entries, w.Entries, compareCrt, func(he, we *haproxy.CrtEntry) {
		s := &d.stages
		switch {
		case he == nil:
			s.certsIn = append(s.certsIn, crtOp(AddCrt, w.Path, we))
		case we == nil && !slices.ContainsFunc(shownNames(he), func(n string) bool { return !shown[n] }):
			replaced = append(replaced, crtOp(DelCrt, w.Path, he))
		case we == nil:
			s.crtOut = append(s.crtOut, crtOp(DelCrt, w.Path, he))
		}
	})
	d.stages.certsIn = append(d.stages.certsIn, replaced...)
}

// shownNames are what an entry is for: its names, or the file when those of the certificate count.
func shownNames(e *haproxy.CrtEntry) []string {
	if len(e.SNI) == 0 {
		return []string{"file " + e.File}
	}
	return e.SNI
}

func crtOp(k Kind, path string, e *haproxy.CrtEntry) Op {
	return Op{Kind: k, Owner: e.Owner, Path: path, File: e.File, Options: e.Options, SNI: e.SNI}
}
