package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"weir"
	"weir/internal/secrets"
)

// pair is who reads a test's backups.
type pair struct {
	to  Recipients
	ids Identities
	id  age.Identity
}

func newPair(t testing.TB) pair {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients("# who reads backups\n" + id.Recipient().String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities(id.String())
	if err != nil {
		t.Fatal(err)
	}
	return pair{to, ids, id}
}

// backedUp makes a backup and gives its bytes.
func backedUp(t testing.TB, s *Store, p pair) ([]byte, BackupInfo) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "backup")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := s.Backup(t.Context(), f, p.to, "test")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return raw, info
}

func restoreOf(t testing.TB, raw []byte, p pair, into Options) Restore {
	t.Helper()
	if into.Keyring == nil {
		into.Keyring = testKeyring(t)
	}
	return Restore{
		Into: into, From: bytes.NewReader(raw), Identities: p.ids, Without: []string{"epoch"},
		Finish: func(context.Context, *Store, BackupInfo) error { return nil },
	}
}

// restored puts a backup into a new folder and opens that.
func restored(t testing.TB, raw []byte, p pair) *Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := restoreOf(t, raw, p, Options{Dir: dir}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return openIn(t, dir)
}

// plainOf decrypts a backup into its lines.
func plainOf(t testing.TB, raw []byte, p pair) []byte {
	t.Helper()
	in, err := age.Decrypt(bytes.NewReader(raw), p.id)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// encrypted makes a file of lines, as somebody can who knows the recipient.
func encrypted(t testing.TB, text []byte, p pair) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, p.to.list...)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(w)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const backupCanary = "canary-of-a-backup-7f3a"

// withThings gives a store with objects small and large, secrets of several generations, values of the platform
// that have changed, and a history.
func withThings(t testing.TB) *Store {
	t.Helper()
	s := newStore(t)
	keepThings(t, s)
	return s
}

func keepThings(t testing.TB, s *Store) {
	t.Helper()
	apply(t, s, puts(zone("az1", 1), secret("one", backupCanary+"-1"))...)
	apply(t, s, puts(secret("one", backupCanary+"-2"))...)
	apply(t, s, puts(&weir.Object{Kind: "ErrorPage", Metadata: weir.Metadata{Name: "long"}, Spec: &weir.ErrorPage{Body: longText(200 << 10)}})...)
	var many []*weir.Object
	for i := range 400 {
		many = append(many, zone(fmt.Sprintf("many-%d", i), i), secret(fmt.Sprintf("many-%d", i), fmt.Sprintf("%s-%d", backupCanary, i)))
	}
	key, chain := selfSigned(t, "www.example.com")
	many = append(many, issuer("public", backupCanary+"-issuer"), certificate("www", chain, key))
	apply(t, s, puts(many...)...)
	apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Zone", Name: "many-0"}})
	for _, name := range []string{"issuer/public", "order/www"} {
		if err := s.SetPlatform(t.Context(), name, []byte(backupCanary+"-"+name), 0); err != nil {
			t.Fatal(err)
		}
	}
	for generation := range int64(3) {
		if err := s.SetPlatform(t.Context(), "ca", []byte(backupCanary+fmt.Sprint("-ca-", generation)), generation); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetPlatform(t.Context(), "epoch", []byte("old"), 0); err != nil {
		t.Fatal(err)
	}
}

// longText does not compress.
func longText(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", i*i*7919)))
	}
	return b.String()[:n]
}

// everything is what a store holds, in a form to compare.
func everything(t testing.TB, s *Store) string {
	t.Helper()
	var b strings.Builder
	view := s.View()
	for _, k := range weir.Kinds() {
		for o := range view.All(k.Name) {
			raw, err := canonical(o)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%d %s\n", o.Revision, raw)
			if ref := sealedRefOf(o); ref != nil {
				opened, err := s.Secret(t.Context(), o.Ref(), ref.Generation)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "secret %s\n", opened.Text())
			}
		}
	}
	changes, err := s.Changes(t.Context(), Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		fmt.Fprintf(&b, "change %d by %s of %d at %s\n", c.Revision, c.Change.Author, len(c.Change.Objects), c.Change.At)
	}
	return b.String()
}

// What is restored is what was backed up: objects with their revisions, secrets, history, the platform's values.
func TestRestoreIsWhatWasBackedUp(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, info := backedUp(t, s, p)
	if info.Revision != s.Revision() || info.Objects["Zone"] != 400 || info.Objects["Secret"] != 401 || info.Changes != 5 || info.Platform != 4 || info.Pending != 0 {
		t.Errorf("the backup says %+v", info)
	}
	checked, err := VerifyBackup(bytes.NewReader(raw), p.ids, nil)
	if err != nil || fmt.Sprint(checked) != fmt.Sprint(info) {
		t.Errorf("verified as %+v, %v; written as %+v", checked, err, info)
	}
	again := restored(t, raw, p)
	if got, want := everything(t, again), everything(t, s); got != want {
		t.Errorf("restored:\n%.2000s\nwant:\n%.2000s", got, want)
	}
	if ca, generation, err := again.Platform(t.Context(), "ca"); err != nil || ca.Text() != backupCanary+"-ca-2" || generation != 1 {
		t.Errorf("the CA: %d, %v", generation, err)
	}
	if _, _, err := again.Platform(t.Context(), "epoch"); weir.KindOf(err) != weir.NotFound {
		t.Errorf("the epoch was not left out: %v", err)
	}
	// It lives on: the next change, an undo of an old one, a secret of an older generation.
	apply(t, again, puts(zone("az1", 2))...)
	if _, err := again.Undo(t.Context(), 5, Request{Author: "ann"}); err != nil {
		t.Error(err)
	}
	if old, err := again.Secret(t.Context(), weir.Ref{Kind: "Secret", Name: "one"}, 1); err != nil || old.Text() != backupCanary+"-1" {
		t.Errorf("generation 1: %v", err)
	}
}

// No secret is in a backup other than sealed, nor is the key, whoever opens it.
func TestBackupHoldsNoPlaintext(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	if bytes.Contains(raw, []byte("many-17")) {
		t.Error("the file is not encrypted")
	}
	text := plainOf(t, raw, p)
	seen := 0
	refuse := func(where string, b []byte) {
		t.Helper()
		for _, canary := range []string{backupCanary, "0123456789abcdef0123456789abcdef", base64.StdEncoding.EncodeToString([]byte(backupCanary))[:20]} {
			if bytes.Contains(b, []byte(canary)) {
				t.Errorf("%s holds a secret", where)
			}
		}
		if bytes.Contains(b, []byte("many-17")) {
			seen++
		}
	}
	refuse("the text", text)
	_, err := scanBackup(bytes.NewReader(text), testKeyring(t), func(_ BackupInfo, r record) error {
		refuse(r.Key, r.Value)
		// Some values are packed: look into those too.
		for i := range min(len(r.Value), 4096) {
			if r.Value[i] != deflated && r.Value[i] != plain {
				continue
			}
			if open, err := unpack(r.Value[i:]); err == nil {
				refuse(r.Key+", unpacked", open)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("looked into values: %v, %d with an object's name", err, seen)
	}
}

// What is cut, changed, foreign or sealed with another key is refused, and nothing is made.
func TestBadBackupsAreRefused(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	text := plainOf(t, raw, p)
	lines := bytes.SplitAfter(text, []byte("\n"))
	without := func(i int) []byte { return bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil) }
	flipped := func(at int) []byte {
		b := bytes.Clone(raw)
		b[at] ^= 1
		return b
	}
	otherRing, err := secrets.ParseKeyring(base64.StdEncoding.EncodeToString([]byte("another key of thirty-two bytes!")))
	if err != nil {
		t.Fatal(err)
	}
	forged := resealed(t, text, otherRing)
	cases := map[string]struct {
		raw  []byte
		ring *secrets.Keyring
		pair *pair
		says string
	}{
		"empty":                {raw: nil, says: "no file of age"},
		"text":                 {raw: []byte("kind: Zone\n"), says: "no file of age"},
		"of age, not gzip":     {raw: encryptedPlain(t, []byte("hello"), p), says: "no backup of Weir"},
		"of age, other text":   {raw: encrypted(t, []byte("hello\n"), p), says: "no backup of Weir"},
		"a newer format":       {raw: encrypted(t, bytes.Replace(text, []byte(`"format":1`), []byte(`"format":2`), 1), p), says: "use the version that made it (test)"},
		"without its end":      {raw: encrypted(t, without(len(lines)-2), p), says: "it was cut"},
		"with half a line":     {raw: encrypted(t, text[:len(text)/2], p), says: "it was cut"},
		"a line less":          {raw: encrypted(t, without(7), p), says: "cut or changed"},
		"a line twice":         {raw: encrypted(t, bytes.Join([][]byte{lines[0], lines[1], text[len(lines[0]):]}, nil), p), says: "none of a backup's"},
		"something after":      {raw: encrypted(t, append(bytes.Clone(text), "{}\n"...), p), says: "follows"},
		"another head":         {raw: encrypted(t, bytes.Replace(text, []byte(`"revision":5`), []byte(`"revision":4`), 1), p), says: "is not that of what it holds"},
		"flipped at the start": {raw: flipped(40)},
		"flipped in between":   {raw: flipped(len(raw) / 2), says: "cut or changed"},
		"flipped at the end":   {raw: flipped(len(raw) - 1), says: "cut or changed"},
		"another recipient's":  {raw: raw, pair: new(newPair(t)), says: "encrypted to other recipients"},
		"another sealing key":  {raw: raw, ring: otherRing, says: "give the one of the control plane that made it"},
		"made by a stranger":   {raw: encrypted(t, forged, p), says: "not made under this sealing key"},
	}
	for at := 0; at < len(raw); at += len(raw)/40 + 1 {
		cases[fmt.Sprint("cut at ", at)] = struct {
			raw  []byte
			ring *secrets.Keyring
			pair *pair
			says string
		}{raw: raw[:at]}
	}
	for name, c := range cases {
		dir := filepath.Join(t.TempDir(), "new")
		who := p
		if c.pair != nil {
			who = *c.pair
		}
		_, err := restoreOf(t, c.raw, who, Options{Dir: dir, Keyring: c.ring}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "nothing was written") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the folder was made", name)
		}
	}
}

// resealed leaves out what this ring can't open and makes a good end: what somebody without the right key can.
func resealed(t testing.TB, text []byte, ring *secrets.Keyring) []byte {
	t.Helper()
	var out bytes.Buffer
	w := newBackupWriter(&out, ring)
	first := true
	_, err := scanBackup(bytes.NewReader(text), nil, func(i BackupInfo, r record) error {
		if first {
			w.header(BackupInfo{At: i.At, Revision: i.Revision})
			first = false
		}
		if !strings.HasPrefix(r.Key, "x/") && !strings.HasPrefix(r.Key, "p/") {
			w.record(r)
		}
		return w.err
	})
	if err = errors.Join(err, w.close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func encryptedPlain(t testing.TB, text []byte, p pair) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, p.to.list...)
	if err == nil {
		_, err = w.Write(text)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
