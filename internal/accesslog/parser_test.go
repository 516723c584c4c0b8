package accesslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const (
	httpLine = `"y":"h","p":4990,"n":7,"f":"http-443","t":1795256399405,"b":"web-az1","s":"web-az1-017","st":200,"i":79,"o":4711,"tm":[0,1,2,33,41],"e":"--","r":"0","c":"203.0.113.7","cp":"57094","tv":"TLSv1.3","tc":"TLS_AES_256_GCM_SHA384","si":"www","ro":"api","zo":"az1","m":"GET","u":"/api/v1/things/4711","h":"www.example.com","v":"HTTP/2.0"}` + "\n"
	hdrLine  = `"y":"h","p":4990,"n":8,"f":"http-443","t":1795256399405,"b":"web-az1","s":"<NOSRV>","st":-1,"i":79,"o":0,"tm":[0,-1,-1,-1,41],"e":"CH","r":"+3","c":"2001:db8::1","cp":"57094","tv":"","tc":"","si":"www","ro":"","zo":null,"m":"GET","u":"/#C3#A9\\\"","h":"h","v":"HTTP/1.1","rq":{"user-agent":"a#7Cb#22\\|","x-a":null},"rs":{"x-b":""}}` + "\n"
	tcpLine  = `"y":"t","p":1,"n":4294967295,"f":"tcp-389","t":0,"b":"ldap","s":"s1","st":0,"i":79,"o":66,"tm":[2,3,1,-1,5],"e":"--","r":"1","c":"unix","cp":"-","tv":"","tc":"","si":"ldap","ro":"","zo":""}`
	errLine  = `"y":"e","p":14651,"n":0,"f":"b","t":1795256933941,"b":"b","s":"<NOSRV>","st":0,"i":0,"o":0,"tm":[-1,-1,-1,-1,0],"e":"PR","r":"0","c":"127.0.0.1","cp":"57446","tv":"TLSv1.3","tc":"(NONE)","er":"SSL_HANDSHAKE","es":"error:0A00009C:SSL routines::http request"}` + "\n"
)

// plainLine is how encoding/json reads a line.
type plainLine struct {
	Y, F, B, S, E, R, C, CP string
	TV, TC, SI, RO, ZO      string
	M, U, H, V, ER, ES      string
	P, N, T, ST, I, O       int64
	TM                      [5]int64
	RQ, RS                  asWritten
}

// asWritten is JSON as it stands in the line.
type asWritten string

func (a *asWritten) UnmarshalJSON(b []byte) error {
	*a = asWritten(b)
	return nil
}

func (l *Line) plain() plainLine {
	retries := fmt.Sprint(l.Retries)
	if l.Redispatch {
		retries = "+" + retries
	}
	return plainLine{
		Y: string(l.Kind), F: string(l.Frontend), B: string(l.Backend), S: string(l.Server), E: string(l.Termination),
		R: retries, C: string(l.Client), CP: string(l.ClientPort), TV: string(l.TLSVersion), TC: string(l.TLSCipher),
		SI: string(l.Site), RO: string(l.Route), ZO: string(l.Zone), M: string(l.Method), U: string(l.Path),
		H: string(l.Host), V: string(l.Version), RQ: asWritten(l.RequestHdr), RS: asWritten(l.ResponseHdr),
		ER: string(l.Error), ES: string(l.TLSError), P: int64(l.PID), N: int64(l.Number), T: l.AcceptedMS,
		ST: int64(l.Status), I: l.BytesIn, O: l.BytesOut,
		TM: [5]int64{l.Timers.Request, l.Timers.Queue, l.Timers.Connect, l.Timers.Response, l.Timers.Total},
	}
}

// compareWithJSON fails unless encoding/json reads an accepted line alike.
func compareWithJSON(t *testing.T, l *Line, line []byte) {
	t.Helper()
	var want plainLine
	if err := json.Unmarshal(append([]byte("{"), line...), &want); err != nil {
		t.Fatalf("accepted %q, encoding/json refuses it: %v", line, err)
	}
	want.U = string(cutPath([]byte(want.U)))
	got := l.plain()
	if got != want {
		t.Fatalf("read %q\ngot  %+v\nwant %+v", line, got, want)
	}
}

func TestParseReadsEveryField(t *testing.T) {
	for _, line := range []string{httpLine, hdrLine, tcpLine, errLine} {
		var l Line
		if _, err := l.parse([]byte(line)); err != nil {
			t.Fatalf("parse %s: %v", line, err)
		}
		compareWithJSON(t, &l, []byte(line))
	}
	var l Line
	if _, err := l.parse([]byte(hdrLine)); err != nil {
		t.Fatal(err)
	}
	if got := string(l.Path); got != `/#C3#A9\"` {
		t.Errorf("path %q", got)
	}
	if l.Retries != 3 || !l.Redispatch || l.Status != -1 || headersOf(l.RequestHdr)["user-agent"] != `a#7Cb#22\|` || len(headersOf(l.RequestHdr)) != 1 || len(headersOf(l.ResponseHdr)) != 0 {
		t.Errorf("read %+v", l.plain())
	}
}

func TestParseStrings(t *testing.T) {
	for raw, want := range map[string]string{
		`"\u00C3\u00e9\/\b\f\n\r\t\"\\"`: "Ãé/\b\f\n\r\t\"\\",
		`"\ud83d\ude00"`:                 "😀",
		`"\ud83dx"`:                      "\ufffdx",
		`"\ud83d\u0041"`:                 "\ufffdA",
		`"\udc00"`:                       "\ufffd",
		"\"a\xff\xc3b\"":                 "a\ufffd\ufffdb",
		"\"é\"":                          "é",
		`""`:                             "",
		`null`:                           "",
	} {
		line := strings.Replace(httpLine, `"www.example.com"`, raw, 1)
		var l Line
		if _, err := l.parse([]byte(line)); err != nil || string(l.Host) != want {
			t.Errorf("%q: got %q, %v, want %q", raw, l.Host, err, want)
			continue
		}
		compareWithJSON(t, &l, []byte(line))
	}
}

func TestParseCutsThePath(t *testing.T) {
	line := strings.Replace(httpLine, "/api/v1/things/4711", "/"+strings.Repeat("x", 510)+"é", 1)
	var l Line
	if _, err := l.parse([]byte(line)); err != nil {
		t.Fatal(err)
	}
	if len(l.Path) != maxPath-1 {
		t.Errorf("path has %d bytes: a character was split, or too much cut", len(l.Path))
	}
}

func TestParseRefuses(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(httpLine, old, new, 1) }
	for _, line := range []string{
		"", "{}", httpLine + "x", httpLine + "\n", strings.TrimSuffix(httpLine, "}\n"),
		change(`"y":"h"`, `"y":"x"`),
		change(`"p":4990`, `"p":0`), change(`"p":4990`, `"p":4294967296`), change(`"p":4990`, `"p":-`),
		change(`"st":200`, `"st":0200`), change(`"st":200`, `"st":1000`), change(`"st":200`, `"st":-2`), change(`"st":200`, `"st":-0`), change(`"st":200`, `"st":`),
		change(`"i":79`, `"i":-79`), change(`"i":79`, `"i":1234567890123456789`), change(`"i":79`, `"i":7.9`),
		change(`[0,1,`, `[0, 1,`), change(`"r":"0"`, `"r":"++0"`), change(`"r":"0"`, `"r":""`),
		change(`"u":"/api`, `"u":"/\x`), change(`"u":"/api`, `"u":"/\u12g4`), change(`"u":"/api`, "\"u\":\"/\x01"),
		change(`"u":"/api`, `"u":"/\ud800\uzzzz`), change(`"u":"/api`, `"u":/api`), change(`"f":"http-443"`, `"f":null`),
		tcpLine + httpLine, strings.Replace(errLine, `"er"`, `"si"`, 1),
	} {
		var l Line
		if _, err := l.parse([]byte(line)); err == nil {
			t.Errorf("accepted %q", line)
		}
	}
}

func TestParseTellsHowFarItCame(t *testing.T) {
	var l Line
	headed, err := l.parse([]byte(httpLine[:len(httpLine)-40]))
	if !headed || err == nil || l.PID != 4990 || l.Number != 7 || string(l.Frontend) != "http-443" {
		t.Errorf("cut line: headed %t, %v, %+v", headed, err, l.plain())
	}
	if headed, err := l.parse([]byte(httpLine[:20])); headed || err == nil {
		t.Errorf("line cut in its head: headed %t, %v", headed, err)
	}
}

func TestParseKeepsNothingOfTheLineBefore(t *testing.T) {
	var l, fresh Line
	for _, line := range []string{hdrLine, errLine, tcpLine} {
		if _, err := l.parse([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fresh.parse([]byte(tcpLine)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.plain(), fresh.plain()) {
		t.Errorf("got %+v, want %+v", l.plain(), fresh.plain())
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var l Line
	lines := [][]byte{[]byte(httpLine), []byte(hdrLine), []byte(tcpLine), []byte(errLine)}
	if n := testing.AllocsPerRun(100, func() {
		for _, line := range lines {
			if _, err := l.parse(line); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for four lines", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{httpLine, hdrLine, tcpLine, errLine} {
		f.Add([]byte(line))
		f.Add([]byte(strings.Replace(line, `"--"`, `"\ud83d\ude00\u00ff`+"\xff\"", 1)))
	}
	var l Line // reused, as the receiver does
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		if _, err := l.parse(line); err != nil {
			return
		}
		if !bytes.Equal(before, line) {
			t.Fatal("the line was changed")
		}
		compareWithJSON(t, &l, line)
	})
}

func BenchmarkParse(b *testing.B) {
	for name, line := range map[string]string{"http": httpLine, "escaped": hdrLine, "tcp": tcpLine} {
		b.Run(name, func(b *testing.B) {
			var l Line
			raw := []byte(line)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := l.parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
