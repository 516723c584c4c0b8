package hapctl

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// shownMap answers with what the map says of the host.
const shownMap = `frontend f from base
  bind ADDR:8080
  http-request return status 200 hdr x-origin "%[req.hdr(host),map_str(opt@maps/hosts,nothing)]" content-type text/plain string x
`

func (l *lab) wantValue(host, want string) {
	l.Helper()
	if _, v, err := l.get(host); v != want || err != nil {
		l.Errorf("%s is %q %v, want %q", host, v, err, want)
	}
}

// A new content of a map shows at the commit, all at once; what is prepared and not committed does no harm.
func TestFactMapTransaction(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		l.do("add map maps/hosts a old", "add map maps/hosts b old", "prepare map maps/hosts")
		version, err := haproxy.ParseMapVersion(l.do("prepare map maps/hosts"))
		if err != nil {
			t.Fatal(err)
		}
		at := "@" + strconv.Itoa(version)
		l.pay("add map "+at+" maps/hosts", "a new\nc new\n")
		l.wantValue("a", "old")
		l.wantValue("c", "nothing")
		l.do("commit map " + at + " maps/hosts")
		l.wantValue("a", "new")
		l.wantValue("b", "nothing")
		l.wantValue("c", "new")
		if text := l.refused("add map @99 maps/hosts a b"); !strings.Contains(text, "Version number in the future") {
			t.Errorf("%q", text)
		}
	})
}

// An opt@ map needs no file, is known with and without its opt@, and has after a reload what is on disk.
func TestFactOptMap(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		l.wantValue("a", "nothing")
		l.do("add map maps/hosts a runtime")
		l.wantValue("a", "runtime")
		l.do("set map opt@maps/hosts a again")
		l.wantValue("a", "again")
		l.reload()
		l.wantValue("a", "nothing")
		l.file("maps/hosts", "a disk\n# a comment\nb two words\n")
		l.reload()
		l.wantValue("a", "disk")
		l.wantValue("b", "two words")
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || len(m) != 2 {
			t.Errorf("map = %v, %v", m, err)
		}
		// The first of two counts and set changes both; del takes all in 3.2, in 3.4 one.
		l.do("add map maps/hosts a second")
		l.wantValue("a", "disk")
		l.do("set map maps/hosts a both")
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || strings.Count(fmt.Sprint(m), "{a both}") != 2 {
			t.Errorf("map = %v, %v", m, err)
		}
		l.do("del map maps/hosts a")
		if h.Version != "3.2" {
			l.wantValue("a", "both")
			l.do("del map maps/hosts a")
		}
		l.wantValue("a", "nothing")
		for _, line := range []string{"del map maps/hosts a", "set map maps/hosts a x"} {
			if l.refused(line) == "" {
				t.Error(line)
			}
		}
	})
}

// What HAProxy makes of a payload's lines, which is why MapPayloads refuses some: a key without a value takes
// the next line for one, blanks in front make the key empty, and a refused line leaves those before it.
func TestFactMapPayloadLines(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		l.pay("add map maps/hosts", "a  v \n key\n")
		if text := l.do("show map maps/hosts"); !strings.Contains(text, " a v \n") || !strings.HasSuffix(text, "  key") {
			t.Errorf("map = %q", text)
		}
		l.do("clear map maps/hosts")
		l.pay("add map maps/hosts", "alone\n\nb c\n")
		if text := l.do("show map maps/hosts"); !strings.HasSuffix(text, " alone \nb c") && !strings.HasSuffix(text, " alone\n\nb c") {
			t.Errorf("map = %q", text)
		}
		l.do("clear map maps/hosts")
		_, err := l.tryPay("add map maps/hosts", "a 1\nb 2\nalone\n")
		if text := refusal(t, err); text != "Missing value for key 'alone'." {
			t.Errorf("refused with %q", text)
		}
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || !slices.Equal(m, []haproxy.MapPair{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}) {
			t.Errorf("map = %v, %v", m, err)
		}
	})
}

// Commands up to MaxCommand arrive whole, many at once, wherever they fall in HAProxy's buffer.
func TestFactPayloadsUpToTheLimit(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		var cmds []Command
		want := 0
		for i := range 60 {
			// Sizes around half the buffer and at its end; lines of different lengths.
			size := MaxCommand/(1+i%3) - 40 - 7*i
			var b strings.Builder
			for j := 0; b.Len() < size-40; j++ {
				fmt.Fprintf(&b, "k%d.%d %s\n", i, j, strings.Repeat("v", 1+(i*j)%29))
				want++
			}
			c, err := command(t, "add map maps/hosts").WithPayload(b.String())
			if err != nil {
				t.Fatal(err)
			}
			cmds = append(cmds, c, command(t, "show backend"))
		}
		if _, err := l.c.DoAll(bounded(t), cmds...); err != nil {
			t.Fatal(err)
		}
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || len(m) != want {
			t.Errorf("%d entries, want %d, %v", len(m), want, err)
		}
		exact, err := command(t, "add map maps/hosts").WithPayload("x ")
		if err != nil {
			t.Fatal(err)
		}
		b, err := exact.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		value := strings.Repeat("y", MaxCommand-len(b))
		l.pay("add map maps/hosts", "x "+value)
		m, err := l.c.Map(bounded(t), "maps/hosts")
		if err != nil || m[len(m)-1].Value != value && !slices.Contains(m, haproxy.MapPair{Key: "x", Value: value}) {
			t.Errorf("the longest value is lost: %v", err)
		}
	})
}

// Beyond tune.bufsize 3.2 refuses; nothing of the payload is used.
func TestFactPayloadOverTheLimit(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		if h.Version != "3.2" {
			return // 3.4 is unreliable there, which can't be shown reliably: Command refuses to try
		}
		l := startLab(t, h, shownMap)
		text := l.raw("add map maps/hosts <<END\n" + strings.Repeat("key value\n", 3000) + "END\n")
		if !strings.Contains(text, "too big") {
			t.Errorf("answer = %q", text)
		}
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || len(m) != 0 {
			t.Errorf("%d entries, %v", len(m), err)
		}
	})
}

// raw sends bytes on a connection of their own and reads until HAProxy closes it.
func (l *lab) raw(text string) string {
	l.Helper()
	c, err := dialUnix(bounded(l.T), filepath.Join(l.dir, "run/admin.sock"))
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patient)); err != nil {
		l.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }()
	var b strings.Builder
	_, err = io.Copy(&b, c)
	if op := (*net.OpError)(nil); err != nil && b.Len() == 0 {
		l.Fatalf("read: %v %v", err, op)
	}
	return b.String()
}

// An answer may hold empty lines, so that only a mark of one's own says where it ends.
func TestFactAnswersHoldEmptyLines(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		l.pay("add map maps/hosts", "alone\n\nb c\n")
		cmds := []Command{command(t, "show map maps/hosts"), command(t, "dump stats-file"), command(t, "show backend")}
		answers, err := l.c.DoAll(bounded(t), cmds...)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers[:2] {
			if !strings.Contains(a.Text, "\n\n") {
				t.Errorf("%s: %q has no empty line", cmds[i], a.Text)
			}
		}
		if !strings.HasPrefix(answers[2].Text, "# name") {
			t.Errorf("the next answer is %q", answers[2].Text)
		}
	})
}

// Closing the writing side ends a «wait» at once, which is why a session never does.
func TestFactHalfCloseInterruptsWait(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		c, err := dialUnix(bounded(t), filepath.Join(l.dir, "run/admin.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "wait 1h\n"); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patient)
		defer cancel()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		if text, err := io.ReadAll(c); err != nil || !strings.Contains(string(text), "Interrupted") {
			t.Errorf("answer = %q, %v", text, err)
		}
	})
}

// The end mark of a payload has at most 7 bytes in 3.2: with a longer one the payload's end is not seen.
func TestFactEndMarkIsShort(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, shownMap)
		for mark, good := range map[string]bool{"1234567": true, "12345678": h.Version != "3.2"} {
			text := l.raw("prompt i\nadd map maps/hosts <<" + mark + "\nk" + mark + " v\n" + mark + "\nquit\n")
			if (strings.TrimSpace(text) == "") != good {
				t.Errorf("mark %s: %q", mark, text)
			}
		}
	})
}
