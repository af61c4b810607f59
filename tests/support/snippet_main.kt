// Runs the Kotlin snippet on a JVM. Arguments: MODEL FOLDER. Reads FOLDER/cases.txt, lines of
// NAME WIDTH HEIGHT X Y BOX_WIDTH (0: no box), with NAME.rgb and NAME.0, NAME.1, the raw outputs in
// the sidecar's order. Writes NAME.in, what the model was given; prints NAME and each attribute.
import android.graphics.Bitmap
import java.io.File
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor

fun tensor(spec: TensorSpec) = Tensor(
    spec.name, spec.type, spec.values,
    Tensor.QuantizationParams(spec.scale.toFloat(), spec.zeroPoint),
)

fun main(arguments: Array<String>) {
    val folder = arguments[1]
    Interpreter.input = tensor(INPUT)
    Interpreter.outputs = OUTPUTS.reversed().map { tensor(it) }  // a file may order them otherwise
    val model = FaceModel(File(arguments[0]).readBytes())
    for (line in File("$folder/cases.txt").readLines()) {
        val name = line.substringBefore(" ")
        val (width, height, x, y, box) = line.split(" ").drop(1).map { it.toInt() }
        val rgb = File("$folder/$name.rgb").readBytes().map { it.toInt() and 0xff }
        val pixels = IntArray(width * height) {
            (0xff shl 24) or (rgb[3 * it] shl 16) or (rgb[3 * it + 1] shl 8) or rgb[3 * it + 2]
        }
        Interpreter.answers = OUTPUTS.indices.reversed().map { File("$folder/$name.$it").readBytes() }
        val square = if (box > 0) haarSquare(x, y, box) else null
        val found = model.describe(Bitmap(pixels, width, height), square)
        File("$folder/$name.in").writeBytes(Interpreter.given)
        println("$name " + found.joinToString(" ") { "${it.name} ${it.value} ${it.label} ${it.ofEach.joinToString("|")}" })
    }
    try {
        FaceModel(ByteArray(4))
    } catch (error: IllegalArgumentException) {
        println("refused ${error.message}")
    }
}
