package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"
)

func openTestAudit(t *testing.T, path string, maxBytes int64, keep int) *Audit {
	t.Helper()
	a, err := OpenAudit(path, maxBytes, keep, newClock().now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func appendAll(t *testing.T, a *Audit, n int) {
	t.Helper()
	for i := range n {
		if err := a.Append(AuditEntry{Author: "ann", What: "apply", Object: fmt.Sprint("Pool/p", i), Outcome: "refused", Reason: "right is missing", Remote: "127.0.0.1:9"}); err != nil {
			t.Fatal(err)
		}
	}
}

func verifyAll(t *testing.T, path string) (AuditRecord, error) {
	t.Helper()
	files, err := AuditFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	return VerifyAudit(files...)
}

func TestAuditAcrossRestartsAndRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "audit.jsonl")
	total := int64(0)
	for range 4 {
		a := openTestAudit(t, path, 2000, 3)
		appendAll(t, a, 25)
		total += 25
		last, err := verifyAll(t, path)
		seq, hash := a.Head()
		if err != nil || last.Seq != total || seq != total || last.Hash != hash {
			t.Fatalf("%d %s, head %d %s, want %d: %v", last.Seq, last.Hash, seq, hash, total, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.Append(AuditEntry{}); err == nil {
			t.Error("appended after Close")
		}
	}
	files, _ := AuditFiles(path)
	if len(files) != 4 || files[3] != path {
		t.Errorf("kept %v", files)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 2000 || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

func TestAuditOpensOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 2000, 1)
	if _, err := OpenAudit(path, 2000, 1, newClock().now); err == nil {
		t.Error("opened twice")
	}
	appendAll(t, a, 1)
	for _, c := range []struct {
		size int64
		keep int
	}{{100, 1}, {2000, 0}} {
		if _, err := OpenAudit(path+"2", c.size, c.keep, newClock().now); err == nil {
			t.Errorf("opened with %v", c)
		}
	}
}

func TestAuditConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 8000, 100)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { appendAll(t, a, 40) })
	}
	wg.Wait()
	if last, err := verifyAll(t, path); err != nil || last.Seq != 320 {
		t.Errorf("%d, %v", last.Seq, err)
	}
}

// writeAudit gives a file of n records, and its lines.
func writeAudit(t *testing.T, n int) (path string, lines [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 1<<20, 1)
	appendAll(t, a, n)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func TestVerifyAuditFindsTampering(t *testing.T) {
	path, lines := writeAudit(t, 6)
	lines[5] = append(lines[5], '\n')
	rehash := func(line []byte, from, to string) []byte {
		body := bytes.Replace(line[:len(line)-1-hashSuffix], []byte(from), []byte(to), 1)
		body = append(body, '}')
		return append(body[:len(body)-1], hashKey+digest(body)+"\"}\n"...)
	}
	for _, c := range []struct {
		what string
		want string // empty: can't be seen from the file alone
		edit func(l [][]byte) [][]byte
	}{
		{"nothing", "", func(l [][]byte) [][]byte { return l }},
		{"first changed", "line 1", func(l [][]byte) [][]byte { l[0] = bytes.Replace(l[0], []byte("ann"), []byte("bob"), 1); return l }},
		{"middle changed", "line 3", func(l [][]byte) [][]byte {
			l[2] = bytes.Replace(l[2], []byte("refused"), []byte("allowed"), 1)
			return l
		}},
		{"last changed", "line 6", func(l [][]byte) [][]byte { l[5] = bytes.Replace(l[5], []byte("p5"), []byte("p6"), 1); return l }},
		{"changed with its hash", "line 4", func(l [][]byte) [][]byte { l[2] = rehash(l[2], "ann", "bob"); return l }},
		{"removed", "line 3", func(l [][]byte) [][]byte { return append(l[:2], l[3:]...) }},
		{"removed, renumbered", "line 3", func(l [][]byte) [][]byte {
			l = append(l[:2], l[3:]...)
			l[2] = rehash(l[2], `"seq":4`, `"seq":3`)
			return l
		}},
		{"last renumbered", "line 6", func(l [][]byte) [][]byte { l[5] = rehash(l[5], `"seq":6`, `"seq":7`); return l }},
		{"swapped", "line 2", func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }},
		{"doubled", "line 3", func(l [][]byte) [][]byte { return append(l[:2], append([][]byte{l[1]}, l[2:]...)...) }},
		{"added", "line 3", func(l [][]byte) [][]byte { return append(l[:2], append([][]byte{[]byte("{}\n")}, l[2:]...)...) }},
		{"empty line", "line 3", func(l [][]byte) [][]byte { return append(l[:2], append([][]byte{[]byte("\n")}, l[2:]...)...) }},
		{"start removed", "", func(l [][]byte) [][]byte { return l[1:] }},
		{"made the start", "line 1", func(l [][]byte) [][]byte { l[1] = rehash(l[1], `"seq":2`, `"seq":1`); return l[1:] }},
		{"end removed", "", func(l [][]byte) [][]byte { return l[:5] }},
	} {
		edited := c.edit(cloneLines(lines))
		if err := os.WriteFile(path, bytes.Join(edited, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := VerifyAudit(path)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if c.want != "" && (!errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), c.want+":")) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
	if _, err := VerifyAudit(path + "2"); err == nil {
		t.Error("a missing file is verified")
	}
}

func cloneLines(lines [][]byte) [][]byte {
	out := make([][]byte, len(lines))
	for i, l := range lines {
		out[i] = bytes.Clone(l)
	}
	return out
}

func TestVerifyAuditFindsAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	appendAll(t, openTestAudit(t, path, 2000, 9), 40)
	files, _ := AuditFiles(path)
	if len(files) < 4 {
		t.Fatalf("only %v", files)
	}
	if _, err := VerifyAudit(files[1:]...); err != nil {
		t.Errorf("without the oldest: %v", err)
	}
	if _, err := VerifyAudit(append(files[:1:1], files[2:]...)...); !errors.Is(err, ErrTampered) {
		t.Errorf("without the second: %v", err)
	}
	old, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[1], append(old, `{"seq"`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyAudit(files...); !errors.Is(err, ErrTampered) {
		t.Errorf("half a line in an old file: %v", err)
	}
	if err := os.WriteFile(files[1], old, 0o600); err != nil {
		t.Fatal(err)
	}
	files[1], files[2] = files[2], files[1]
	if _, err := VerifyAudit(files...); !errors.Is(err, ErrTampered) {
		t.Errorf("out of order: %v", err)
	}
}

// Every way in which a crash can cut the last line is repaired when the file is opened, and is no tampering.
func TestAuditRepairsATornLine(t *testing.T) {
	path, lines := writeAudit(t, 4)
	head := bytes.Join(lines[:3], nil)
	for cut := 0; cut <= len(lines[3]); cut++ {
		if err := os.WriteFile(path, append(bytes.Clone(head), lines[3][:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyAudit(path); err != nil {
			t.Fatalf("cut at %d, not opened yet: %v", cut, err)
		}
		a := openTestAudit(t, path, 1<<20, 1)
		appendAll(t, a, 1)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		last, err := VerifyAudit(path)
		want := int64(5) // three, then the repair or the fourth, then the new one
		if cut == 0 {
			want = 4
		}
		if err != nil || last.Seq != want {
			t.Fatalf("cut at %d: %d, %v", cut, last.Seq, err)
		}
		data, _ := os.ReadFile(path)
		if got := bytes.Contains(data, []byte("audit-repair")); got != (cut > 0 && cut < len(lines[3])) {
			t.Fatalf("cut at %d: told of a repair: %v", cut, got)
		}
	}
	// Zeros, as some file systems leave them after a power cut.
	if err := os.WriteFile(path, append(bytes.Clone(head), make([]byte, 300)...), 0o600); err != nil {
		t.Fatal(err)
	}
	appendAll(t, openTestAudit(t, path, 1<<20, 1), 1)
	if last, err := VerifyAudit(path); err != nil || last.Seq != 5 {
		t.Errorf("zeros: %d, %v", last.Seq, err)
	}
}

func TestAuditGoesOnAfterTamperingAndVerifyStillTells(t *testing.T) {
	path, lines := writeAudit(t, 4)
	lines[3] = append(bytes.Replace(lines[3], []byte("ann"), []byte("bob"), 1), '\n')
	if err := os.WriteFile(path, bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	appendAll(t, openTestAudit(t, path, 1<<20, 1), 2)
	if _, err := VerifyAudit(path); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "line 4:") {
		t.Errorf("%v", err)
	}
}

// A crash after a rotation's rename, before the new file has a line.
func TestAuditFindsItsHeadInOldFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 2000, 5)
	appendAll(t, a, 30)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, crash := range []func() error{
		func() error { return os.Rename(path, freeName(path, 29)) },
		func() error {
			return errors.Join(os.Rename(path, freeName(path, 31)), os.WriteFile(path, nil, 0o600))
		},
	} {
		if err := crash(); err != nil {
			t.Fatal(err)
		}
		before, err := verifyAll(t, path)
		if err != nil {
			t.Fatal(err)
		}
		a := openTestAudit(t, path, 2000, 5)
		appendAll(t, a, 1)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if last, err := verifyAll(t, path); err != nil || last.Seq != before.Seq+1 {
			t.Errorf("%d after %d, %v", last.Seq, before.Seq, err)
		}
	}
}

func TestAuditReopensAfterAFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 1<<20, 1)
	appendAll(t, a, 2)
	// Half a line, then an error, as on a full disk.
	if _, err := a.file.WriteString(`{"seq":3,"pr`); err != nil {
		t.Fatal(err)
	}
	if err := a.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(AuditEntry{What: "apply"}); err == nil {
		t.Error("an entry that was not written is taken for written")
	}
	appendAll(t, a, 1)
	if last, err := verifyAll(t, path); err != nil || last.Seq != 4 {
		t.Errorf("%d, %v", last.Seq, err)
	}
}

func TestAuditValuesCannotBreakLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTestAudit(t, path, 1<<20, 1)
	token, _ := NewToken("user")
	nasty := []string{
		"a\nb\r\n{\"seq\":99}", "\x00\x1b[2J\x7f", "\u0085\u2028\u2029\u202e\U000e0001", "bad \xff\xfe utf-8", `","hash":"` + strings.Repeat("0", 64) + `"}`,
		"<script>&amp;", "é 漢 🙂", "with " + token, strings.Repeat("é", 4000), strings.Repeat("\n", 5000),
	}
	for _, v := range nasty {
		if err := a.Append(AuditEntry{v, v, v, v, v, v}); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := verifyAll(t, path); err != nil || last.Seq != int64(len(nasty)) {
		t.Fatalf("%d, %v", last.Seq, err)
	}
	data, _ := os.ReadFile(path)
	if bytes.Contains(data, []byte(token[12:])) {
		t.Error("a token is in the audit file")
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i, line := range lines {
		for _, r := range string(line) {
			if !unicode.IsPrint(r) {
				t.Errorf("line %d holds %U", i+1, r)
			}
		}
		var r AuditRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
		if len(r.Reason) > maxAuditField+3 {
			t.Errorf("line %d: %d bytes of reason", i+1, len(r.Reason))
		}
		if i < 3 && r.Reason != nasty[i] {
			t.Errorf("line %d: %q became %q", i+1, nasty[i], r.Reason)
		}
	}
}

func FuzzDecodeAudit(f *testing.F) {
	r := AuditRecord{Seq: 1, AuditEntry: AuditEntry{What: "apply", Reason: "a\nb"}}
	line, _ := r.encode()
	f.Add(line[:len(line)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeAudit(data); err == nil && (r.Seq < 1 || len(r.Hash) != 64) {
			t.Fatalf("%q was taken as %+v", data, r)
		}
	})
}
