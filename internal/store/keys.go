package store

import (
	"fmt"
	"strconv"
	"strings"

	"weir"
)

// The keys, all below one root:
//
//	head                          the last revision
//	mat                           the last revision whose objects are all under o/ and secrets under x/
//	swept                         written with every removal of secrets
//	c/<revision>                  a change: its header, and its objects when they are few
//	b/<staging>/<n>               a large change's objects, in chunks, written before its c/ key
//	t/<staging>                   says that a change has taken the staging; without it, it is an orphan
//	s/<staging>/<n>               a large change's sealed secrets, until they are under x/
//	o/<kind>/<name>               an object as of mat
//	l/<kind>/<name>/<revision>/<n> what of a large object does not fit its o/ key
//	x/<kind>/<name>/<generation>  a sealed secret; the generation is the revision that brought it
//	p/<name>                      a sealed value of the platform's own; its generation is etcd's version of the key
//	e/<work>/<lease>              who waits for a turn at work that one server does, the oldest has it
//	m/<id>                        a server that runs, under its lease
//	r/<name>                      an origin server that registers itself
//	h/<id>/<n>                    origin servers that one server has heard, by turns, for a while
//	i/<hash>                      somebody who is signed in, under a lease
//	i-spent/<hash>                what lets in once and was used, under a lease
//	sealing                       the id of the key that seals; every write of something sealed asks for it
//	sealing/anew                  how far what older keys have sealed is sealed anew
//	restore                       while a backup is being restored: nobody else may open the store
const (
	root               = "weir/v1/"
	keyHead            = root + "head"
	keyMat             = root + "mat"
	keySwept           = root + "swept"
	prefixChange       = root + "c/"
	prefixBody         = root + "b/"
	prefixStaged       = root + "s/"
	prefixTaken        = root + "t/"
	prefixObject       = root + "o/"
	prefixLarge        = root + "l/"
	prefixSealed       = root + "x/"
	prefixPlatform     = root + "p/"
	prefixLead         = root + "e/"
	prefixMember       = root + "m/"
	prefixRegistration = root + "r/"
	prefixHeard        = root + "h/"
	prefixSession      = root + "i/"
	prefixSpent        = root + "i-spent/"
	keySealing         = root + "sealing"
	keySealingAnew     = keySealing + "/anew"
	keyRestore         = root + "restore"
	maxChunk           = 512 << 10 // a value
	maxTxnBytes        = 900 << 10 // of 1.5 MiB that etcd takes by default
	maxTxnOps          = 120       // of 128
	revisionWidth      = 16
)

func number(n int64) string { return fmt.Sprintf("%0*d", revisionWidth, n) }

func changeKey(revision int64) string { return prefixChange + number(revision) }

func objectKey(r weir.Ref) string { return prefixObject + r.String() }

func largePrefix(r weir.Ref) string { return prefixLarge + r.String() + "/" }

func sealedKey(r weir.Ref, generation int64) string {
	return prefixSealed + r.String() + "/" + number(generation)
}

// parseObjectKey reads "<kind>/<name>", and what follows it.
func parseObjectKey(key, prefix string) (r weir.Ref, rest string, ok bool) {
	key, ok = strings.CutPrefix(key, prefix)
	if !ok {
		return weir.Ref{}, "", false
	}
	kind, name, ok := strings.Cut(key, "/")
	name, rest, _ = strings.Cut(name, "/")
	return weir.Ref{Kind: kind, Name: name}, rest, ok && kind != "" && name != ""
}

func parseRevision(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("read store: %q is no revision", s)
	}
	return n, nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
