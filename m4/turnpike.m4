# SPDX-License-Identifier: BSD-2-Clause
# The switches of our configure: warnings, sanitizers, fuzzers, coverage, optional libraries.
# User CFLAGS are never touched: what is found here goes to AM_CFLAGS and AM_LDFLAGS.

AC_DEFUN([TP_WARNINGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [treat warnings as errors @<:@no@:>@])],
    [], [enable_werror=no])
  tp_werror=$enable_werror
  WARN_CFLAGS="-std=gnu11 -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers"
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])

AC_DEFUN([TP_SANITIZER], [
  AC_ARG_WITH([sanitizer],
    [AS_HELP_STRING([--with-sanitizer=LIST], [build with these sanitizers, such as address,undefined or thread @<:@no@:>@])],
    [], [with_sanitizer=no])
  tp_sanitizer=$with_sanitizer
  SAN_CFLAGS=
  AS_IF([test "x$with_sanitizer" != xno],
    [SAN_CFLAGS="-fsanitize=$with_sanitizer -fno-omit-frame-pointer -fno-sanitize-recover=all"])
  AC_SUBST([SAN_CFLAGS])
  AC_SUBST([tp_sanitizer])
])

AC_DEFUN([TP_FUZZER], [
  AC_ARG_WITH([fuzzer],
    [AS_HELP_STRING([--with-fuzzer], [build the fuzzers with libFuzzer, needs CC=clang @<:@no@:>@])],
    [], [with_fuzzer=no])
  tp_fuzzer=$with_fuzzer
  FUZZ_CFLAGS= FUZZ_LDFLAGS=
  AS_IF([test "x$with_fuzzer" != xno],
    [FUZZ_CFLAGS="-fsanitize=fuzzer-no-link" FUZZ_LDFLAGS="-fsanitize=fuzzer"])
  AC_SUBST([FUZZ_CFLAGS])
  AC_SUBST([FUZZ_LDFLAGS])
  AM_CONDITIONAL([WITH_FUZZER], [test "x$with_fuzzer" != xno])
])

AC_DEFUN([TP_COVERAGE], [
  AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage], [instrument for gcov @<:@no@:>@])],
    [], [enable_coverage=no])
  tp_coverage=$enable_coverage
  COV_CFLAGS=
  AS_IF([test "x$enable_coverage" = xyes], [COV_CFLAGS="--coverage"])
  AC_SUBST([COV_CFLAGS])
])

# TP_OPTIONAL(name, VARIABLE, pkg-config modules, what it is for)
AC_DEFUN([TP_OPTIONAL], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [$4: auto, yes or no @<:@auto@:>@])],
    [], [with_$1=auto])
  AS_CASE(["$with_$1"],
    [auto|yes|no], [],
    [AC_MSG_ERROR([--with-$1=$with_$1: the values are auto, yes and no])])
  AS_IF([test "x$with_$1" = xno], [tp_with_$1=no],
    [PKG_CHECK_MODULES([$2], [$3], [tp_with_$1=yes],
      [AS_IF([test "x$with_$1" = xyes],
         [AC_MSG_ERROR([--with-$1: $3 was not found])], [tp_with_$1=no])])])
  AS_IF([test "x$tp_with_$1" = xyes],
    [AC_DEFINE([WITH_$2], [1], [Define to 1 to build $4.])])
  AM_CONDITIONAL([WITH_$2], [test "x$tp_with_$1" = xyes])
])
