# cmake -D OUT=file.c -D DIR=lua -P embed_lua.cmake: the scripts as one C file. As bytes, since compilers need not take strings
# of that length; each is what it stands on, then itself, in the order of mfi_rs_script.
cmake_minimum_required(VERSION 3.25)
set(scripts claim commit expired lease lines list notes outbox outcomes read_note take tell)
set(judged claim take)

set(arrays)
set(rows)
foreach(script ${scripts})
    set(parts common)
    if(script IN_LIST judged)
        list(APPEND parts judge)
    endif()
    set(bytes)
    foreach(part ${parts} ${script})
        file(READ ${DIR}/${part}.lua hex HEX)
        string(APPEND bytes ${hex})
    endforeach()
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "((0x..,){20})" "\\1\n    " bytes "${bytes}")
    string(APPEND arrays "static const char ${script}[] = {\n    ${bytes}\n};\n")
    string(APPEND rows "        {${script}, sizeof ${script}},\n")
endforeach()
file(WRITE ${OUT} "/* Made by embed_lua.cmake from lua/. */\n#include \"store_lua.h\"\n\n${arrays}
mf_str mfi_rs_lua(size_t number)
{
    static const mf_str all[] = {\n${rows}    };
    return all[number];
}
")
