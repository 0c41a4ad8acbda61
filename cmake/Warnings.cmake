# Nothing warns. MAGEFLOW_WERROR turns a warning into an error: on in the presets, off for somebody else's compiler.
option(MAGEFLOW_WERROR "Treat warnings as errors" OFF)

add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
    -Wcast-qual -Wundef -Wformat=2 -Wno-missing-field-initializers)
# What newer compilers refuse anyway.
add_compile_options($<$<COMPILE_LANGUAGE:C>:-Werror=implicit-function-declaration>
    $<$<COMPILE_LANGUAGE:C>:-Werror=int-conversion> $<$<COMPILE_LANGUAGE:C>:-Werror=incompatible-pointer-types>)
# Not with a sanitizer: its checks hide the ranges of variables from GCC, which then warns of what cannot happen.
if(MAGEFLOW_WERROR AND NOT MAGEFLOW_SANITIZE)
    add_compile_options(-Werror)
endif()
