package haproxy

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fuzzAnswer feeds every real answer and what the fuzzer makes of them to parse; whatever it cannot read
// must be an AnswerError, and check sees what it could.
func fuzzAnswer[T any](f *testing.F, parse func(string) (T, error), check func(t *testing.T, text string, v T)) {
	files, err := filepath.Glob(filepath.Join("testdata", "answer", "*", "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatal("no answers to begin with", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
		f.Add(string(b[:len(b)/2]))
		f.Add(string(b) + "\n\n0x1f a b\n# x\nx")
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parse(text)
		var wrong *AnswerError
		if err != nil {
			if !errors.As(err, &wrong) || wrong.Line < 1 || wrong.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%v is no AnswerError of a line of the answer", err)
			}
			return
		}
		check(t, text, v)
	})
}

// lines counts the lines of an answer, without the empty ones that end it.
func lines(text string) int {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return 0
	}
	return strings.Count(text, "\n") + 1
}

// counted fails when a line of the answer was passed over.
func counted(t *testing.T, text string, heading, got int) {
	t.Helper()
	if want := lines(text) - heading; got != want {
		t.Fatalf("%d of %d lines read", got, want)
	}
}

func FuzzParseServersState(f *testing.F) {
	fuzzAnswer(f, ParseServersState, func(t *testing.T, text string, v []ServerState) { counted(t, text, 2, len(v)) })
}

func FuzzParseBackends(f *testing.F) {
	fuzzAnswer(f, ParseBackends, func(t *testing.T, text string, v []string) { counted(t, text, 1, len(v)) })
}

func FuzzParseMap(f *testing.F) {
	fuzzAnswer(f, ParseMap, func(t *testing.T, text string, v []MapPair) {
		counted(t, text, 0, len(v))
		var again strings.Builder
		for i, p := range v {
			fmt.Fprintf(&again, "0x%x %s %s\n", i, p.Key, p.Value)
		}
		w, err := ParseMap(again.String() + "0x0 end .")
		if err != nil || fmt.Sprint(w[:len(v)]) != fmt.Sprint(v) {
			t.Fatalf("written again: %v, %v, want %v", w, err, v)
		}
	})
}

func FuzzParseMapVersion(f *testing.F) {
	fuzzAnswer(f, ParseMapVersion, func(t *testing.T, text string, v int) { counted(t, text, 0, 1) })
}

func FuzzParseCrtList(f *testing.F) {
	parse := func(s string) ([]CrtListLine, error) { _, v, err := ParseCrtList(s); return v, err }
	fuzzAnswer(f, parse, func(t *testing.T, text string, v []CrtListLine) {
		counted(t, strings.ReplaceAll(text, "\x00", ""), 1, len(v))
		for _, e := range v {
			if e.File == "" || strings.ContainsAny(e.Options, "\x00]") {
				t.Fatalf("entry %+v", e)
			}
		}
	})
}

func FuzzParseCert(f *testing.F) {
	fuzzAnswer(f, ParseCert, func(t *testing.T, _ string, v LiveCert) {
		if v.Name == "" || v.Status == "" {
			t.Fatalf("%+v", v)
		}
	})
}

func FuzzParseCerts(f *testing.F) {
	fuzzAnswer(f, ParseCerts, func(t *testing.T, text string, v CertNames) {
		headings := strings.Count("\n"+text+"\n", "\n# transaction\n") + strings.Count("\n"+text+"\n", "\n# filename\n")
		got := len(v.Names)
		if v.Transaction != "" {
			got++
		}
		// Two headings in a row share a line end, which Count sees once.
		if n := lines(text) - headings; got > n {
			t.Fatalf("%d names of %d lines", got, n)
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	fuzzAnswer(f, ParseInfo, func(t *testing.T, text string, v Info) { counted(t, text, 0, len(v.All)) })
}

func FuzzParseProc(f *testing.F) {
	fuzzAnswer(f, ParseProc, func(t *testing.T, text string, v Proc) {
		if v.Master.Pid == 0 || 2+len(v.Workers)+len(v.Old) > lines(text) {
			t.Fatalf("%+v", v)
		}
	})
}

func FuzzParseReload(f *testing.F) {
	fuzzAnswer(f, ParseReload, func(t *testing.T, text string, v ReloadAnswer) {
		if v.Success != strings.HasPrefix(text, "Success=1") {
			t.Fatalf("%+v", v)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	fuzzAnswer(f, ParseStat, func(t *testing.T, text string, v []StatRow) {
		var limits []Limit
		if err := Limits(text, func(b Limit) { limits = append(limits, b) }); err != nil || len(limits) != len(v) {
			t.Fatalf("%d rows have %d limits: %v", len(v), len(limits), err)
		}
		for i, r := range v {
			if want := (Limit{r.Proxy, r.Service, r.Type, r.SessionLimit, r.Unpublished}); limits[i] != want {
				t.Fatalf("%+v, want %+v", limits[i], want)
			}
			if r.Proxy == "" || r.Service == "" || strings.HasSuffix(r.Status, " (UNPUB)") && !r.Unpublished {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// What has no quotes is read by a quicker way, which reads what the other reads.
func FuzzPlainRows(f *testing.F) {
	f.Add("pxname,svname\na,b\n\nc,d")
	f.Add("a\n,\n")
	f.Add(",,\n1,2,3\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\"\r") {
			return
		}
		slow := csv.NewReader(strings.NewReader(text))
		quick := plainRows{rest: text}
		for {
			want, werr := slow.Read()
			got, err := quick.read()
			if (err == nil) != (werr == nil) || errors.Is(err, io.EOF) != errors.Is(werr, io.EOF) {
				t.Fatalf("%q: %v, want %v", text, err, werr)
			}
			if err != nil {
				return
			}
			if n, _ := slow.FieldPos(0); !slices.Equal(got, want) || n != quick.line {
				t.Fatalf("%q: row %q at %d, want %q at %d", text, got, quick.line, want, n)
			}
		}
	})
}
