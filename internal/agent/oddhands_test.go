package agent

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"weir"
	"weir/internal/drift"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// raw sends what somebody at the socket types, and gives the answer.
func (b *bed) raw(text string) string {
	b.t.Helper()
	c, err := net.DialTimeout("unix", b.folder.path(haproxy.AdminSocket), longWait)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(longWait))
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		b.t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(answer)
}

// oddEntries are entries that no file of a map could hold, or that «del map» can't name, as they are typed after
// «add map NAME».
var oddEntries = []string{
	` key\ with\ blanks value`, ` \ key value`, ` \ \  value`, ` evil.example on\ e\ `, // blanks
	" e\x1b[2Jvil.example one", " evil.example on\x1b[2Je", " e\x7fvil one", // what a terminal would heed
	" e\xff\xfevil.example one", " evil.example o\xffe", // no UTF-8
	` #evil one`, ` #0x7f00 one`, ` @1 one`, ` e\;vil one`, ` \<\<evil one`, ` "evil' one`, ` e\\vil.example one`,
	" <<\nevil.example   two words  \n",
}

// oddly adds an entry and holds that it is told in words that harm nobody.
func (b *bed) oddly(path, typed string) {
	b.t.Helper()
	if answer := b.raw("add map " + path + typed); strings.TrimSpace(answer) != "" {
		b.t.Fatalf("%q: HAProxy says %q", typed, answer)
	}
	if !b.lookNow() {
		b.t.Errorf("%q is not seen", typed)
	}
	for _, d := range b.told().Now {
		if strings.ContainsFunc(d.Text, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsGraphic(r) }) {
			b.t.Errorf("%q is told as %q", typed, d.Text)
		}
	}
}

// Whatever somebody types into a map, it is undone, and keeps no wish from being carried out.
func TestOddEntriesAreUndone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, "")
		path := mapWith(b, "one.example")
		for i, typed := range oddEntries {
			b.oddly(path, typed)
			b.node.Pools[0].Servers[1].Weight = 10 + i
			if out := b.converge(); out.Reloaded {
				t.Errorf("%q takes a reload: %v", typed, out.Plan.Reload)
			}
			if _, s := b.server("one", "s41"); s.Weight != 10+i {
				t.Errorf("%q: the wish is not done: %+v", typed, s)
			}
			b.settled()
		}
		// Also while a map is exchanged whole.
		b.raw("add map " + path + oddEntries[4])
		b.lookNow()
		b.manyNames()
		if out := b.converge(); len(out.Held) > 0 {
			t.Errorf("blamed for another's hand: %v", out.Held)
		}
		b.settled()
	})
}

// manyNames has so much of a map change that it is exchanged whole.
func (b *bed) manyNames() {
	site := &b.node.Sites[0]
	for i := range 250 {
		site.Hostnames = append(site.Hostnames, fmt.Sprintf("n%d.example", i))
	}
}

// Where hands are left alone it stays, also over a restart of the agent, and wishes are carried out around it.
func TestOddEntriesAreLeftAlone(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, weir.DriftReport)
		path := mapWith(b, "one.example")
		for _, typed := range oddEntries {
			// A map in which a key stands twice is one place, which the next wish for it takes.
			if !strings.HasPrefix(typed, " evil.example ") && typed != ` \ \  value` {
				b.oddly(path, typed)
			}
		}
		b.node.Pools[0].Servers[1].Weight = 10
		b.converge()
		a := &Agent{engine: b.engine, opts: Options{Dir: filepath.Dir(b.folder.dir)}, log: b.log}
		a.keepHands()
		before := drift.Places(b.hands.items)
		b.recallHands(b.have)
		if after := drift.Places(b.hands.items); !slices.Equal(after, before) || len(after) == 0 {
			t.Errorf("recalled %q, before %q", after, before)
		}
		b.manyNames()
		out := b.converge()
		if text := b.raw("show map " + path); !strings.Contains(text, "n249.example") || !strings.Contains(text, "key with blanks value") {
			t.Errorf("after %v the map of %d entries ends with\n%q", planLines(out.Plan), strings.Count(text, "\n"), text[max(0, len(text)-600):])
		}
		b.node.Group.Drift = ""
		b.converge()
		b.settled()
	})
}
