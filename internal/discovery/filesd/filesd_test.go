package filesd

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsWatched(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.yml")
	write(t, path, "- targets: [a:80]\n")
	b := watchIt(t, Config{Path: path})
	b.want("", "part targets: a:80; whole: targets", "alive")
	if b.last.d != 500*time.Millisecond {
		t.Errorf("looks every %s", b.last.d)
	}

	// Half of a list in YAML is a list: it is not taken while it grows.
	write(t, path, "- targets: [b:80]\n")
	b.want("")
	write(t, path, "- targets: [b:80]\n- targets: [c:80]\n")
	b.want("", "part targets: b:80, c:80; whole: targets", "alive")

	// In one step.
	write(t, path+".new", "- targets: [d:80]\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	b.want("", "part targets: d:80; whole: targets")

	// Touched, and the same; then of the same size and with the time of before, as tools that copy make them.
	write(t, path, "- targets: [d:80]\n")
	b.want("", "alive")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "- targets: [e:80]\n")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	b.want("", "part targets: e:80; whole: targets")
	write(t, path, "[]\n")
	b.want("", "part targets: ; whole: targets")
}

func TestFileThatNobodyTouches(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.json")
	write(t, path, `[{"targets":["a:80"]}]`)
	late := discovery.Clock{Time: func() time.Time { return time.Now().Add(time.Hour) }}
	watchIt(t, Config{Path: path, Clock: late}).want("part targets: a:80; whole: targets", "alive")
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.json")
	good := func() { write(t, path, `[{"targets":["a:80"]}]`) }
	good()
	b := watchIt(t, Config{Path: path})
	b.want("", "part targets: a:80; whole: targets")
	for want, spoil := range map[string]func() error{
		"no such file or directory; write [] into it": func() error { return nil },
		"it is no file":                 func() error { return os.Mkdir(path, 0o700) },
		"it is no file ":                func() error { return syscall.Mkfifo(path, 0o600) },
		"65 MiB are more than is taken": func() error { return os.Truncate(sparse(t, path), 65<<20) },
		"it is empty; write []":         func() error { return os.WriteFile(path, nil, 0o600) },
		"the list ends early":           func() error { return os.WriteFile(path, []byte(`[{"targets":["b:80"]}`), 0o600) },
		"is no host:port": func() error {
			return os.WriteFile(path, []byte(`[{"targets":["`+strings.Repeat("x", 9999)+`"]}]`), 0o600)
		},
		"json: unknown field":               func() error { return os.WriteFile(path, []byte(`[{"`+strings.Repeat("x", 9999)+`":1}]`), 0o600) },
		"too many levels of symbolic links": func() error { return os.Symlink(path, path) },
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if told := b.look(); told == "" {
			b.failed("read targets from file "+path+": ", strings.TrimSpace(want))
		} else if !strings.Contains(told, strings.TrimSpace(want)) {
			t.Errorf("told %q, want %q in it", told, want)
		}
		b.failed("read targets from file "+path+": ", strings.TrimSpace(want)) // for as long as it is so
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		good()
		b.want("", "alive")
	}
}

func sparse(t *testing.T, path string) string {
	t.Helper()
	write(t, path, "")
	return path
}

func TestFileThatIsWrittenAllTheTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.json")
	text := "[]"
	write(t, path, text)
	b := watchIt(t, Config{Path: path})
	for range maxSettling {
		b.want("")
		text += " "
		write(t, path, text)
	}
	b.failed("it has changed at each of 21 looks: write it beside and rename it")
	b.want("part targets: ; whole: targets", "alive")
}

// server gives what the test says, and notes what was asked.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  []http.Header
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Header)
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) say(status int, body string, header ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if tag := w.Header().Get("ETag"); tag != "" && tag == r.Header.Get("If-None-Match") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (s *server) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1]
}

func TestURLIsWatched(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.say(200, `[{"targets":["a:80"]}]`, "Content-Type", "application/json; charset=utf-8", "ETag", `"1"`)
	b := watchIt(t, Config{URL: s.URL + "/list.yaml?key=" + token, Token: token})
	b.want("part targets: a:80; whole: targets")
	if h := s.last(); h.Get("Authorization") != "Bearer "+token || h.Get("X-Prometheus-Refresh-Interval-Seconds") != "30" || h.Get("If-None-Match") != "" {
		t.Errorf("asked with %v", h)
	}
	b.want("alive") // not modified
	if h := s.last(); h.Get("If-None-Match") != `"1"` {
		t.Errorf("asked with %v", h)
	}
	s.say(200, `[{"targets":["a:80"]}]`, "ETag", `"2"`, "Content-Type", "application/json")
	b.want("alive") // modified, and the same
	s.say(200, `[{"targets":["b:80"]}, "x"]`, "ETag", `"3"`, "Content-Type", "application/json")
	b.failed("group 2 is not understood")
	b.failed("group 2 is not understood") // its tag was not kept
	if h := s.last(); h.Get("If-None-Match") != `"2"` {
		t.Errorf("asked with %v", h)
	}
	s.say(200, "- targets: [b:80]\n", "Content-Type", "application/yaml")
	b.want("part targets: b:80; whole: targets", "alive")
	if b.last.d != 30*time.Second {
		t.Errorf("asks every %s", b.last.d)
	}
	if h := s.last(); h.Get("If-None-Match") != "" {
		t.Errorf("asked with %v", h)
	}
	s.say(200, "- targets: [c:80]\n", "Content-Type", "text/plain") // then by the path's end
	b.want("part targets: c:80; whole: targets")
	s.say(200, "[]")
	b.want("part targets: ; whole: targets")
}

func TestAnswersThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	good := `[{"targets":["a:80"]}]`
	s.say(200, good)
	b := watchIt(t, Config{URL: s.URL + "/list?key=" + token, Token: token})
	b.want("part targets: a:80; whole: targets")
	for _, c := range []struct {
		status int
		body   string
		header []string
		want   string
	}{
		{304, "", nil, "HTTP 304"}, // which nobody has asked for
		{401, "who?", nil, "HTTP 401: who?; give a token that may read it"},
		{403, "not with " + token, nil, "HTTP 403: not with [redacted]; give a token"},
		{404, "", nil, "HTTP 404; let it answer 200 with []"},
		{204, "", nil, "HTTP 204; let it answer 200 with []"},
		{500, "<h1>\r\n\x00" + strings.Repeat("x", 9999), nil, "HTTP 500: <h1> ?xxx"},
		{302, "", []string{"Location", "http://127.0.0.1:1/" + token}, "redirects are not followed"},
		{200, good, []string{"Content-Length", "1000"}, "ends early"},
		{200, good[:10], nil, "group 1 is not understood"},
		{200, "", nil, "it is empty"},
		{200, `[{"targets":["a:80","a:80"]}]`, nil, `"a:80" is there twice`},
	} {
		s.say(c.status, c.body, c.header...)
		b.failed("read targets from "+s.URL+"/list: ", c.want)
		s.say(200, good)
		b.want("alive")
	}
	s.Close()
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if b.failed("connection refused"); b.last.d != want*time.Second {
			t.Errorf("a pause of %s, want %ds", b.last.d, want)
		}
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"name either a file or a URL":         {},
		"name either a file or a URL ":        {Path: "/a", URL: "http://a"},
		`"a.yml" is no path from the root on`: {Path: "a.yml"},
		"token: a file takes none":            {Path: "/a", Token: token},
		"URL of targets: it must begin with":  {URL: "a.example.com"},
		"token: it holds spaces":              {URL: "http://a", Token: token + "\r\nX: y"},
		`format: "xml" is neither`:            {Path: "/a", Format: "xml"},
		"interval: it must be from 100ms to":  {Path: "/a", Interval: time.Millisecond},
		"interval: it must be from 1s to":     {URL: "http://a", Interval: 100 * time.Millisecond},
		"interval: it must be from 1s to ":    {URL: "http://a", Interval: 2 * time.Hour},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) || strings.Contains(err.Error(), token) {
			t.Errorf("%v: got %v, want %q in it", c, err, want)
		}
	}
}

func TestEndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newServer(t)
	s.say(200, "[]")
	path := filepath.Join(t.TempDir(), "web.json")
	write(t, path, "[]")
	for _, c := range []Config{{URL: s.URL}, {Path: path}} {
		b := watchIt(t, c)
		b.look()
		b.end()
		<-b.ended
	}
	// Also while nothing answers.
	asked := make(chan struct{})
	s.answer = func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() }
	b := watchIt(t, Config{URL: s.URL})
	<-asked
	b.end()
	<-b.ended
	if len(b.told) > 0 {
		t.Errorf("told %v after the end", b.told)
	}
	s.Close()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, and %d before", n, before)
		}
		return nil
	})
}
