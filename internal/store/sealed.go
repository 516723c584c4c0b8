package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// secretField is where a kind keeps a secret: the plaintext as it arrives, and what stands for it afterwards.
type secretField struct {
	plain     *string
	ref       **weir.SealedRef
	name      string // of the plaintext's field
	pathOfRef string
}

func secretFieldOf(o *weir.Object) (secretField, bool) {
	if o == nil {
		return secretField{}, false
	}
	switch spec := o.Spec.(type) {
	case *weir.Certificate:
		return secretField{&spec.Key, &spec.KeyRef, "key", "spec.keyRef"}, true
	case *weir.Issuer:
		return secretField{&spec.Key, &spec.KeyRef, "key", "spec.keyRef"}, true
	case *weir.Secret:
		return secretField{&spec.Data, &spec.DataRef, "data", "spec.dataRef"}, true
	}
	return secretField{}, false
}

// sealedRefOf gives what an object's secret is kept as, nil when it has none.
func sealedRefOf(o *weir.Object) *weir.SealedRef {
	if f, ok := secretFieldOf(o); ok {
		return *f.ref
	}
	return nil
}

// sealedNames lists the secrets that entries refer to, before or after.
func sealedNames(entries []entry) []sealedName {
	var list []sealedName
	for _, e := range entries {
		before, after := sealedRefOf(e.before), sealedRefOf(e.after)
		if before != nil {
			list = append(list, sealedName{e.ref, before.Generation})
		}
		if after != nil && (before == nil || *before != *after) {
			list = append(list, sealedName{e.ref, after.Generation})
		}
	}
	return list
}

// resolveSecret takes the plaintext out of a draft and puts the reference in its place.
func (s *Store) resolveSecret(ctx context.Context, d *draft, undo bool, past *past) error {
	f, ok := secretFieldOf(d.after)
	if !ok {
		return nil
	}
	plaintext, given, before := *f.plain, *f.ref, sealedRefOf(d.before)
	*f.plain = ""
	problem := func(path, format string, args ...any) {
		d.problems = append(d.problems, weir.Problem{Object: d.ref.String(), Path: path, Message: fmt.Sprintf(format, args...)})
	}
	ring, kind, name := s.keyring(), d.ref.Kind, d.ref.Name
	switch {
	case plaintext != "" && ring == nil:
		problem("spec."+f.name, "can't be kept: the server has no sealing key")
	case plaintext != "" && before != nil && ring.SameSecret(before.Fingerprint, kind, name, []byte(plaintext)):
		*f.ref = before
		d.known = plaintext
	case plaintext != "":
		*f.ref = &weir.SealedRef{Generation: d.after.Revision, Fingerprint: ring.Fingerprint(kind, name, []byte(plaintext))}
		d.plaintext = []byte(plaintext)
		d.known = plaintext
	case given == nil, before != nil && *given == *before:
	case d.before == nil && !undo:
		problem(f.pathOfRef, "refers to a secret of an object that does not exist any more; give spec.%s, or undo the deletion", f.name)
	case undo:
		return s.resolveOlder(ctx, d, *given, problem, f)
	default:
		owner, kept, err := past.owner(ctx, d.ref, given.Generation)
		if err != nil {
			return err
		}
		// References are no secret: with those of a former object of the name, whoever has it now would have its secret.
		if kept && owner != d.before.Metadata.Role {
			problem(f.pathOfRef, "generation %d is the secret of another role, whose object of this name does not exist any more; give spec.%s", given.Generation, f.name)
			return nil
		}
		return s.resolveOlder(ctx, d, *given, problem, f)
	}
	return nil
}

// resolveOlder accepts a reference to another generation than the present one if that is kept and the same.
func (s *Store) resolveOlder(ctx context.Context, d *draft, given weir.SealedRef, problem func(path, format string, args ...any), f secretField) error {
	secret, at, err := s.secretAt(ctx, d.ref, given.Generation)
	switch {
	case weir.KindOf(err) == weir.NotFound:
		problem(f.pathOfRef, "generation %d of this object's secret is not kept; give spec.%s", given.Generation, f.name)
		return nil
	case err != nil:
		return err
	case !s.keyring().SameSecret(given.Fingerprint, d.ref.Kind, d.ref.Name, secret.Bytes()):
		problem(f.pathOfRef, "the fingerprint is not that of generation %d; leave the reference as it was exported, or give spec.%s", given.Generation, f.name)
		return nil
	}
	d.keptAt = at
	d.known = secret.Text()
	return nil
}

// Secret opens one generation of an object's secret, the one that its KeyRef or DataRef names. It is NotFound
// when that is not kept.
func (s *Store) Secret(ctx context.Context, ref weir.Ref, generation int64) (secrets.Secret, error) {
	if value := s.unplaced.get(ref, generation); value != nil && s.keyring() != nil {
		if secret, err := s.unseal(sealedName{ref, generation}, value); err == nil {
			return secret, nil
		}
	}
	secret, _, err := s.secretAt(ctx, ref, generation)
	return secret, err
}

// secretAt is Secret, with etcd's revision at which the secret was there.
func (s *Store) secretAt(ctx context.Context, ref weir.Ref, generation int64) (secret secrets.Secret, at int64, err error) {
	if s.keyring() == nil {
		return secret, 0, weir.Errorf(weir.Unavailable, "open secret %s: the server has no sealing key", ref)
	}
	value, at, err := s.sealedValue(ctx, sealedName{ref, generation})
	if err != nil {
		return secret, 0, fmt.Errorf("open secret %s: %w", ref, err)
	}
	secret, err = s.unseal(sealedName{ref, generation}, value)
	return secret, at, err
}

func (s *Store) unseal(name sealedName, value []byte) (secrets.Secret, error) {
	var sealed secrets.Sealed
	if err := sealed.UnmarshalBinary(value); err != nil {
		return secrets.Secret{}, fmt.Errorf("open secret %s generation %d: %w", name.Ref, name.Generation, err)
	}
	return s.keyring().Open(name.Kind, name.Name, name.Generation, sealed)
}

// checkKeyring opens the first and the last of the sealed secrets: with another key file than theirs a server
// had better not start.
func (s *Store) checkKeyring(ctx context.Context) error {
	if s.keyring() == nil {
		return nil
	}
	for _, which := range [][]clientv3.OpOption{clientv3.WithFirstKey(), clientv3.WithLastKey()} {
		got, err := s.client.Get(ctx, prefixSealed, append(which, clientv3.WithPrefix())...)
		if err != nil {
			return err
		}
		for _, kv := range got.Kvs {
			name, err := parseSealedKey(kv)
			if err != nil {
				return err
			}
			if _, err := s.unseal(name, kv.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) sealedValue(ctx context.Context, name sealedName) (value []byte, at int64, err error) {
	// Mostly it is in its place; the change, which is looked at besides only then, can be half a megabyte.
	direct, err := s.client.Get(ctx, name.key())
	if err != nil {
		return nil, 0, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	if len(direct.Kvs) > 0 {
		return direct.Kvs[0].Value, direct.Header.Revision, nil
	}
	// The change is looked at in the same moment: a large one's secrets may still be where it brought them.
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(name.key()), clientv3.OpGet(changeKey(name.Generation))).Commit()
	if err != nil {
		return nil, 0, &weir.Error{Kind: weir.Unavailable, Message: "etcd does not answer", Cause: err}
	}
	at = got.Header.Revision
	if kvs := got.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		return kvs[0].Value, at, nil
	}
	if kvs := got.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		h, _, err := parseChangeValue(kvs[0].Value)
		if err != nil {
			return nil, 0, err
		}
		if h.StagedChunks > 0 {
			value, err = s.stagedValue(ctx, &h, name, at)
			return value, at, err
		}
	}
	return nil, 0, weir.Errorf(weir.NotFound, "generation %d is not kept", name.Generation)
}

func (s *Store) stagedValue(ctx context.Context, h *header, name sealedName, at int64) ([]byte, error) {
	raw, err := s.stagedSecrets(ctx, h, at)
	if err != nil {
		return nil, err
	}
	if value, ok := raw[name.Ref.String()]; ok {
		return value, nil
	}
	return nil, weir.Errorf(weir.NotFound, "generation %d is not kept", name.Generation)
}

// seal gives the value of an entry's x/ key, nil when it brings no secret.
func (s *Store) seal(e *entry) ([]byte, error) {
	if e.plaintext == nil {
		return nil, nil
	}
	ring, err := s.sealer()
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(e.ref.Kind, e.ref.Name, e.after.Revision, e.plaintext)
	if err != nil {
		return nil, err
	}
	return sealed.MarshalBinary()
}

// parseSealedKey reads the key of a secret.
func parseSealedKey(kv *mvccpb.KeyValue) (sealedName, error) {
	ref, rest, ok := parseObjectKey(string(kv.Key), prefixSealed)
	if !ok || strings.Contains(rest, "/") {
		return sealedName{}, errors.New("read store: a secret's key is odd")
	}
	generation, err := parseRevision(rest)
	return sealedName{ref, generation}, err
}
