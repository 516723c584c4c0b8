package dns01

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/miekg/dns"
)

// FuzzAnswer hands any bytes to all that reads answers: nothing panics, what is found lies where it must, and what is
// said of it harms no log.
func FuzzAnswer(f *testing.F) {
	const name, zone = "_acme-challenge.www.example.test.", "example.test."
	q := question(name, dns.TypeSOA, false)
	q.Id = 7
	for _, records := range [][]string{
		{zone + " 1 SOA ns1 m 1 1 1 1 1"},
		{name + " 1 CNAME a.acme.test.", "a.acme.test. 1 CNAME b.acme.test.", "acme.test. 1 SOA ns1 m 1 1 1 1 1"},
		{name + " 1 CNAME " + name},
		{zone + " 1 NS ns1." + zone, zone + " 1 NS NS1." + zone, "ns1." + zone + " 1 A 192.0.2.1", "ns1." + zone + " 1 AAAA 2001:db8::1"},
		{name + ` 1 TXT "a" "b"`, name + " 1 TXT v"},
	} {
		m := new(dns.Msg).SetReply(q)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		m.SetTsig("weir.", dns.HmacSHA256, 300, 1)
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	key, err := NewKey("weir.", "hmac-sha256", fakeSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := readAnswer(q, raw); err != nil && !strings.Contains(err.Error(), errNonsense.Error()) {
			t.Errorf("%v", err)
		}
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		end, found := readSOA(m, name)
		if found != "" && (end == "" || !dns.IsSubDomain(found, end) || found == ".") {
			t.Errorf("%q is in the zone %q", end, found)
		}
		for _, addr := range readAddrs(m, "53") {
			if again, err := endpoint(addr); err != nil || again != addr {
				t.Errorf("address %q: %v", addr, err)
			}
		}
		said := strings.Join(append(readNS(m, zone), end, found), " ")
		if err := judge(m, name, "v"); err != nil {
			said += err.Error()
		}
		if err := key.verify(m, raw, "00"); err == nil {
			t.Error("an answer without a signature of ours is believed")
		} else {
			said += err.Error()
		}
		said += refusal(m, zone, key).Error()
		if !utf8.ValidString(said) || strings.ContainsFunc(said, func(r rune) bool { return r != ' ' && unprintable(r) }) || strings.Contains(said, fakeSecret) {
			t.Errorf("said: %q", said)
		}
	})
}

// FuzzQuote hands a program's output to what shows it.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("zone \x1b[31mlocked\r\n\ttry later\u202e\x00"))
	f.Add([]byte(strings.Repeat("ü\n", 1000)))
	f.Fuzz(func(t *testing.T, said []byte) {
		got := quote(said)
		if len(got) > 4000 || !utf8.ValidString(got) || strings.ContainsFunc(got, unprintable) {
			t.Errorf("%q", got)
		}
	})
}

// FuzzProgramName: no name leads out of the folder.
func FuzzProgramName(f *testing.F) {
	for _, s := range []string{"dns", "../x", "a/b", ".x", "-c", "a\x00", "", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if programs.MatchString(s) && (s == "" || s[0] == '.' || s[0] == '-' || strings.ContainsAny(s, "/\x00\n \\")) {
			t.Errorf("%q passed", s)
		}
	})
}
