package haproxy

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// given reads what a real HAProxy of the version answered.
func given(t testing.TB, version, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "answer", version, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eachAnswer runs f on the answers of every version.
func eachAnswer(t *testing.T, f func(t *testing.T, given func(name string) string, version string)) {
	for _, v := range []string{"3.4", "3.2"} {
		t.Run(v, func(t *testing.T) {
			f(t, func(name string) string { return given(t, v, name) }, v)
		})
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %+v\nwant %+v", what, got, want)
	}
}

func TestParseServersState(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		got, err := ParseServersState(given("state"))
		if err != nil || len(got) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i := range got {
			got[i].SinceChange = 0
		}
		same(t, "s1", got[0], ServerState{
			Backend: "b1", Server: "s1", ID: 1, Address: "127.99.1.2", Port: 80, Weight: 7, InitialWeight: 7,
			CheckResult: 2, CheckState: 6,
		})
		same(t, "s2", got[1], ServerState{
			Backend: "b1", Server: "s2", ID: 2, Address: "127.99.1.3", Port: 80, Weight: 1, InitialWeight: 1,
			Op: OpRunning, Admin: AdminConfigMaint | AdminForcedDrain, CheckState: 8,
		})
		if s := got[0]; s.Up() || s.Maint() || s.Drain() || !s.Checked() {
			t.Error("s1 is down, by its checks alone")
		}
		if s := got[1]; s.Up() || s.Maint() || !s.Drain() || s.Checked() {
			t.Error("s2 is drained, no longer in maintenance, and has no checks")
		}
		if s := got[2]; s.ID != 17 || s.Address != "::1" || !s.Maint() || !s.Drain() || s.Up() || s.Checked() {
			t.Errorf("s3 = %+v", s)
		}
	})
}

func TestParseBackends(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, version string) {
		want := map[string][]string{"3.4": {"b1", "d1"}, "3.2": {"b1"}}[version]
		got, err := ParseBackends(given("backends"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "backends", got, want)
	})
}

func TestParseMap(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		got, err := ParseMap(given("map"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "map", got, []MapPair{{"a", "b"}, {"foo", "bar  baz "}})
	})
	if got, err := ParseMap("\n"); err != nil || len(got) != 0 {
		t.Errorf("empty map: %v, %v", got, err)
	}
	if n, err := ParseMapVersion("New version created: 12\n"); n != 12 || err != nil {
		t.Errorf("version %d, %v", n, err)
	}
}

func TestParseCrtList(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		name, got, err := ParseCrtList(given("crtlist"))
		if err != nil || name != "list" {
			t.Fatal(name, err)
		}
		same(t, "crt-list", got, []CrtListLine{
			{Line: 1, File: "x.pem", Options: "alpn h2,http/1.1 ssl-min-ver TLSv1.2", SNI: []string{"a.example", "*.b.example", "!c.b.example"}},
			{Line: 2, File: "x.pem", SNI: []string{}},
		})
	})
}

func TestParseCert(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		got, err := ParseCert(given("cert"))
		if err != nil {
			t.Fatal(err)
		}
		want := LiveCert{
			Name: "x.pem", Status: "Used", Serial: "34621A5FE1AF1F0416CB4049939181049612C104",
			SHA1:      "752383DD16D13706690596CD7B595A79FAC5D820",
			NotBefore: time.Date(2026, 11, 21, 10, 18, 8, 0, time.UTC),
			NotAfter:  time.Date(2026, 12, 21, 10, 18, 8, 0, time.UTC),
			Names:     []string{"DNS:a.example"}, Subject: "/CN=a.example", Issuer: "/CN=a.example", Algorithm: "EC256",
		}
		same(t, "cert", got, want)
		want.Transaction, want.Status = true, "Uncommitted"
		got, err = ParseCert(given("cert-transaction"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "transaction", got, want)
		got, err = ParseCert(given("cert-empty"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "empty", got, LiveCert{Name: "y.pem", Status: "Empty"})
	})
}

func TestParseCerts(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		for name, want := range map[string]CertNames{
			"certs":             {Names: []string{"x.pem", "y.pem"}},
			"certs-transaction": {Transaction: "x.pem", Names: []string{"x.pem", "y.pem"}},
		} {
			got, err := ParseCerts(given(name))
			if err != nil {
				t.Fatal(err)
			}
			same(t, name, got, want)
		}
	})
	if got, err := ParseCerts(""); err != nil || len(got.Names) != 0 {
		t.Errorf("no certificate: %v, %v", got, err)
	}
}

func TestParseInfo(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, version string) {
		got, err := ParseInfo(given("info"))
		if err != nil || !strings.HasPrefix(got.Version, version) || got.Pid < 2 || got.Stopping ||
			got.Threads != 2 || got.MaxConnections != 1000 || got.All["node"] != "lb1" {
			t.Errorf("%+v, %v", got, err)
		}
		text := strings.Replace(given("info"), "Stopping: 0", "Stopping: 1", 1)
		text = strings.Replace(text, "Uptime_sec: 0", "Uptime_sec: 61", 1)
		if got, err := ParseInfo(text); err != nil || !got.Stopping || got.Uptime != 61*time.Second {
			t.Errorf("stopping: %+v, %v", got, err)
		}
	})
}

func TestParseProc(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, version string) {
		got, err := ParseProc(given("proc"))
		if err != nil || got.Failed != 0 || len(got.Workers) != 1 || len(got.Old) != 0 ||
			got.Master.Pid < 2 || got.Workers[0].Pid <= got.Master.Pid || !strings.HasPrefix(got.Master.Version, version) {
			t.Errorf("%+v, %v", got, err)
		}
		got, err = ParseProc(given("proc-failed"))
		if err != nil || got.Failed != 1 || len(got.Workers) != 0 || len(got.Old) != 2 || got.Old[0].Reloads != 1 {
			t.Errorf("after a failed reload: %+v, %v", got, err)
		}
		text := strings.ReplaceAll(given("proc"), "0d00h00m0", "2d03h04m0")
		if got, err = ParseProc(text); err != nil || got.Master.Uptime.Truncate(time.Minute) != 51*time.Hour+4*time.Minute {
			t.Errorf("uptime: %+v, %v", got, err)
		}
	})
}

func TestParseReload(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		got, err := ParseReload(given("reload"))
		if err != nil || !got.Success || got.Busy() || len(got.Logs) < 3 {
			t.Errorf("%+v, %v", got, err)
		}
		got, err = ParseReload(given("reload-refused"))
		if err != nil || got.Success || got.Busy() || !strings.Contains(strings.Join(got.Logs, "\n"), "[haproxy.cfg:21] : unknown keyword") {
			t.Errorf("%+v, %v", got, err)
		}
	})
	got, err := ParseReload("Success=0\n--\nAnother reload is still in progress.\n\n")
	if err != nil || got.Success || !got.Busy() {
		t.Errorf("busy: %+v, %v", got, err)
	}
	if got, err := ParseReload("Success=1\n\n"); err != nil || !got.Success {
		t.Errorf("without logs: %+v, %v", got, err)
	}
}

func TestParseStat(t *testing.T) {
	eachAnswer(t, func(t *testing.T, given func(string) string, version string) {
		rows, err := ParseStat(given("stat"))
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]StatRow{}
		for _, r := range rows {
			by[r.Proxy+"/"+r.Service] = r
		}
		if r := by["fe/FRONTEND"]; r.Type != StatFrontend || r.Status != "OPEN" || r.SessionLimit != 1000 {
			t.Errorf("frontend = %+v", r)
		}
		if r := by["b1/s1"]; r.Type != StatServer || r.Status != "DOWN" || r.Weight != 7 || r.CheckStatus != "L4CON" ||
			r.CheckSaid() != "can't be connected to: Connection refused (L4CON)" || r.Address != "127.99.1.2:80" {
			t.Errorf("s1 = %+v", r)
		}
		if r := by["b1/s2"]; r.Status != "DRAIN" {
			t.Errorf("s2 = %+v", r)
		}
		if r, ok := by["d1/BACKEND"]; ok != (version == "3.4") || ok && (r.Status != "UP" || !r.Unpublished || r.Type != StatBackend) {
			t.Errorf("d1 = %+v", r)
		}
	})
}

// parsers are all parsers, by the file of their answers.
var parsers = map[string]func(string) (any, error){
	"state":    func(s string) (any, error) { return ParseServersState(s) },
	"backends": func(s string) (any, error) { return ParseBackends(s) },
	"map":      func(s string) (any, error) { return ParseMap(s) },
	"cert":     func(s string) (any, error) { return ParseCert(s) },
	"certs":    func(s string) (any, error) { return ParseCerts(s) },
	"info":     func(s string) (any, error) { return ParseInfo(s) },
	"proc":     func(s string) (any, error) { return ParseProc(s) },
	"reload":   func(s string) (any, error) { return ParseReload(s) },
	"stat":     func(s string) (any, error) { return ParseStat(s) },
	"crtlist":  func(s string) (any, error) { _, l, err := ParseCrtList(s); return l, err },
}

// Every malformed answer is an error that names the line.
func TestMalformedAnswers(t *testing.T) {
	edit := func(name, old, new string) string {
		text := given(t, "3.4", name)
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %q", name, old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, c := range []struct {
		parser, name, text string
		line               int
	}{
		{"state", "empty", "", 1},
		{"state", "other version", edit("state", "1\n", "2\n"), 1},
		{"state", "no heading", "1\n", 1},
		{"state", "column gone", edit("state", " srv_uweight", ""), 2},
		{"state", "column twice", edit("state", "srv_iweight", "srv_uweight"), 2},
		{"state", "short line", edit("state", " 127.99.1.2", ""), 3},
		{"state", "weight no number", edit("state", " 7 7 ", " x 7 "), 3},
		{"state", "negative", edit("state", " 7 7 ", " -7 7 "), 3},
		{"state", "unknown state", edit("state", "127.99.1.3 2 ", "127.99.1.3 9 "), 4},
		{"state", "unknown bit", edit("state", "127.99.1.3 2 12", "127.99.1.3 2 128"), 4},
		{"state", "error text", "Can't find backend.\n", 1},
		{"backends", "no heading", "b1\n", 1},
		{"backends", "two words", "# name\nb1 b2\n", 2},
		{"map", "value with a line end", "0x1f a b\nc\n", 2},
		{"map", "no value", "0x1f a\n", 1},
		{"map", "no address", "a b\n", 1},
		{"crtlist", "no heading", "x.pem:1\n", 1},
		{"crtlist", "no line number", "# l\nx.pem [a]\n", 2},
		{"crtlist", "options open", "# l\nx.pem:1 [alpn h2 a.example\n", 2},
		{"cert", "no status", edit("cert", "Status: Used\n", ""), 12},
		{"cert", "no serial", edit("cert", "Serial: ", "Cereal: "), 13},
		{"cert", "bad date", edit("cert", "notAfter: Dec", "notAfter: Foo"), 7},
		{"cert", "twice", edit("cert", "Issuer", "Subject"), 12},
		{"certs", "no heading", "x.pem\n", 1},
		{"certs", "two transactions", "# transaction\n*a\n*b\n", 3},
		{"certs", "unknown heading", "# filename\n# other\n", 2},
		{"info", "other program", edit("info", "Name: HAProxy", "Name: nginx"), 79},
		{"info", "no pid", edit("info", "Pid: ", "Bid: "), 79},
		{"info", "pid no number", edit("info", "Pid: ", "Pid: x"), 7},
		{"info", "twice", "Name: HAProxy\nName: HAProxy\n", 2},
		{"proc", "no heading", "1 worker 0 0d00h00m00s 3.4\n", 1},
		{"proc", "no master", edit("proc", "master", "worker"), 2},
		{"proc", "bad uptime", edit("proc", "0d00h", "0d0xh"), 2},
		{"proc", "unknown heading", edit("proc", "# workers", "# players"), 3},
		{"reload", "no success", "Unknown command\n", 1},
		{"reload", "no dashes", "Success=1\nxx\n", 2},
		{"stat", "no heading", "fe,FRONTEND\n", 1},
		{"stat", "column gone", edit("stat", ",scur,", ",score,"), 1},
		{"stat", "short row", edit("stat", "fe,FRONTEND,", "fe,"), 2},
		{"stat", "number", edit("stat", "b1,s1,0,0,0,", "b1,s1,0,0,x,"), 3},
		{"stat", "open quote", edit("stat", "b1,s1", "b1,\"s1"), 3},
	} {
		t.Run(c.parser+" "+c.name, func(t *testing.T) {
			v, err := parsers[c.parser](c.text)
			var wrong *AnswerError
			if !errors.As(err, &wrong) {
				t.Fatalf("passed: %+v, %v", v, err)
			}
			if wrong.Line != c.line {
				t.Errorf("error names line %d, want %d: %v", wrong.Line, c.line, err)
			}
		})
	}
}
