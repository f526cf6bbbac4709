#!/bin/bash
# Puts what package managers and git fetch onto the lab's servers.
# usage: publish.sh LAB-DIR
set -eu
umask 022
dir=$1
www=$dir/www
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# git: one repository behind git http-backend, and the same one as plain files.
export HOME=$work GIT_CONFIG_NOSYSTEM=1
git config --global user.name lab
git config --global user.email lab@example.org
git config --global init.defaultBranch main
git init -q tree
head -c 3000000 /dev/urandom >tree/big
git -C tree add big
git -C tree commit -qm one
mkdir "$dir/git"
git clone -q --bare tree "$dir/git/demo.git"
git -C "$dir/git/demo.git" config http.receivepack true
git clone -q --bare tree "$www/dumb.git"
git -C "$www/dumb.git" update-server-info

# pip: a simple index with one wheel.
mkdir -p "$www/simple/tiny"
python3 - "$www/simple/tiny" <<'END'
import os, sys, zipfile
os.chdir(sys.argv[1])
with zipfile.ZipFile("tiny-1.0-py3-none-any.whl", "w") as z:
    z.writestr("tiny.py", "print('tiny from the index')\n")
    z.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    z.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\n")
END
cat >"$www/simple/tiny/index.html" <<END
<!DOCTYPE html><html><body>
<a href="tiny-1.0-py3-none-any.whl#sha256=$(sha256sum "$www/simple/tiny/tiny-1.0-py3-none-any.whl" | cut -d' ' -f1)">tiny</a>
</body></html>
END

# npm: a registry that is two files.
mkdir -p package "$www/npm/files"
echo '{"name":"tiny","version":"1.0.0","main":"index.js"}' >package/package.json
echo "console.log('tiny from the registry')" >package/index.js
tar -czf "$www/npm/files/tiny-1.0.0.tgz" package
cat >"$www/npm/tiny" <<END
{"name":"tiny","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"tiny","version":"1.0.0","dist":{
"integrity":"sha512-$(openssl dgst -sha512 -binary "$www/npm/files/tiny-1.0.0.tgz" | base64 -w0)",
"tarball":"https://storage.googleapis.com/npm/files/tiny-1.0.0.tgz"}}}}
END

# apt: a flat repository of eight packages, which apt asks for without waiting for each.
mkdir "$www/apt"
for n in 1 2 3 4 5 6 7 8; do
	mkdir -p "deb$n/DEBIAN" "deb$n/usr/share/tiny$n"
	head -c 200000 /dev/urandom >"deb$n/usr/share/tiny$n/data"
	printf 'Package: tiny%s\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@example.org>\nDescription: tiny\n' "$n" >"deb$n/DEBIAN/control"
	dpkg-deb -Znone -b "deb$n" "$www/apt/tiny$n.deb" >/dev/null
	dpkg-deb -f "$www/apt/tiny$n.deb"
	printf 'Filename: ./tiny%s.deb\nSize: %s\nSHA256: %s\n\n' "$n" "$(stat -c %s "$www/apt/tiny$n.deb")" \
		"$(sha256sum "$www/apt/tiny$n.deb" | cut -d' ' -f1)"
done >"$www/apt/Packages"
printf 'Suite: lab\nDate: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru | sed 's/+0000/UTC/')" \
	"$(sha256sum "$www/apt/Packages" | cut -d' ' -f1)" "$(stat -c %s "$www/apt/Packages")" >"$www/apt/Release"
