package agent

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/internal/haproxy"
)

// stamp tells, mostly, whether a file was touched.
type stamp struct {
	changed time.Time
	inode   uint64
	size    int64
}

func stampOf(path string) (stamp, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, false
	}
	s := stamp{changed: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s, true
}

// edit is a file that no longer holds what was written.
type edit struct {
	name string
	// line is the first that differs, 0 for a file whose content is not remembered; gone says that there is none.
	line int
	gone bool

	stamp stamp
}

// have notes that a file holds content.
func (f *folder) have(name string, content written) {
	f.written[name] = content
	delete(f.edits, name)
	if s, ok := stampOf(f.path(name)); ok {
		f.stamps[name] = s
	}
}

// look gives the files that somebody has changed since they were written, by name. Certificates, which can be many,
// are looked at only when all is. The state of the servers is HAProxy's to say.
func (f *folder) look(all bool) []edit {
	var found []edit
	for name, was := range f.stamps {
		if name == haproxy.StateFile {
			continue
		}
		known, ok := f.edits[name]
		if !all && strings.HasPrefix(name, "certs/") {
			if ok {
				found = append(found, known)
			}
			continue
		}
		now, there := stampOf(f.path(name))
		switch {
		case there && now == was:
			delete(f.edits, name)
		case ok && known.gone == !there && known.stamp == now:
			found = append(found, known)
		default:
			if e, changed := f.edited(name, now, there); changed {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b edit) int { return strings.Compare(a.name, b.name) })
	return found
}

// edited looks into a file whose stamp is another than before.
func (f *folder) edited(name string, now stamp, there bool) (edit, bool) {
	e := edit{name: name, stamp: now, gone: !there}
	if there {
		have, err := os.ReadFile(f.path(name))
		known := f.written[name]
		switch {
		case err != nil:
			return e, false // it goes just now, or can't be read: the next look tells
		case known.holds(have):
			f.stamps[name] = now // touched, and the same
			delete(f.edits, name)
			return e, false
		case len(known.parts) > 0:
			e.line = firstLine([]byte(strings.Join(known.parts, "")), have)
		}
	}
	f.edits[name] = e
	return e, true
}

// firstLine counts to the first line that differs.
func firstLine(a, b []byte) int {
	n := 1
	for {
		la, resta, moreA := bytes.Cut(a, []byte("\n"))
		lb, restb, moreB := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(la, lb) || moreA != moreB {
			return n
		}
		if !moreA {
			return n
		}
		a, b = resta, restb
		n++
	}
}

// mistrust forgets what a file holds, so that it is written anew.
func (f *folder) mistrust(name string) {
	delete(f.written, name)
	delete(f.certs, name)
	delete(f.stamps, name)
	delete(f.edits, name)
	if name == haproxy.PlaceholderCert {
		f.placed = false
	}
}
