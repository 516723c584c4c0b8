package haproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// TicketKeys are the TLS ticket keys of one file as HAProxy has them in memory, told by digest: the answer itself
// reveals them.
type TicketKeys struct {
	// ID is the number by which HAProxy knows the file, as «#0», besides its name.
	ID   int
	File string
	// Digests are the SHA-256 of the keys: of the previous one, of the one that encrypts, of the next one.
	Digests [3][sha256.Size]byte
}

// ParseTicketKeys reads the answer of «show tls-keys *» or «show tls-keys FILE». Its errors hold nothing of a key.
func ParseTicketKeys(text string) ([]TicketKeys, error) {
	a := read("show tls-keys", text)
	if first, _ := a.line(); first != "# id secret" {
		return nil, a.wrong("want # id secret")
	}
	var files []TicketKeys
	for {
		line, ok := a.line()
		if !ok {
			return files, nil
		}
		id, file, ok := strings.Cut(strings.TrimPrefix(line, "# "), " ")
		n, err := strconv.Atoi(id)
		if !ok || err != nil || n < 0 || line != "# "+strconv.Itoa(n)+" "+file || len(file) < 3 || file[0] != '(' || file[len(file)-1] != ')' {
			return nil, a.wrong("want # ID (FILE)")
		}
		f := TicketKeys{ID: n, File: file[1 : len(file)-1]}
		for i := range f.Digests {
			if f.Digests[i], err = a.ticketKey(n, i); err != nil {
				return nil, err
			}
		}
		files = append(files, f)
	}
}

// ticketKey reads one of a file's keys. HAProxy stops listing in the middle when the session ends, so that fewer than
// three are no answer.
func (a *answer) ticketKey(id, index int) (digest [sha256.Size]byte, err error) {
	line, _ := a.line()
	secret, ok := strings.CutPrefix(line, strconv.Itoa(id)+"."+strconv.Itoa(index)+" ")
	key, err := base64.StdEncoding.Strict().DecodeString(secret)
	if !ok || err != nil || len(key) != 48 && len(key) != 80 {
		return digest, a.wrong("want key %d.%d, of 48 or 80 bytes in base64", id, index)
	}
	return sha256.Sum256(key), nil
}
